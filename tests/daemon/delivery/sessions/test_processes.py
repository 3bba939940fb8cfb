"""Whether a client's process is alive, by its key."""

import os
import subprocess
import sys

import pytest

from claude_mailbox.daemon.delivery.sessions.processes import is_alive


@pytest.mark.parametrize("key", ["", "x", "-5", "1e3", "99999999999", "999999999", "٣"])
def test_a_key_without_a_process_is_not_alive(key: str) -> None:
    """A request can have any string as its key."""
    assert not is_alive(key)


def test_a_running_process_is_alive() -> None:
    """Our own process, and one of another user."""
    assert is_alive(str(os.getpid()))
    assert is_alive("1")


def test_a_process_that_has_ended_is_not_alive() -> None:
    """Nobody waits for it any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert not is_alive(str(child.pid))
