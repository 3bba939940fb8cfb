"""Whether a client's process is alive, by its key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox.daemon.delivery.parties.processes import is_alive, is_surely_alive


@pytest.mark.parametrize("key", ["", "x", "-5", "1e3", "99999999999", "999999999", "٣"])
def test_a_key_without_a_process_is_not_alive(key: str) -> None:
    """A request can have any string as its key."""
    assert not is_alive(key)


def test_a_running_process_is_alive() -> None:
    """Our own process, and one of another user."""
    assert is_alive(str(os.getpid()))
    assert is_alive("1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_a_zombie_is_not_alive() -> None:
    """A zombie has its id and its time of start still."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        key = f"{child.pid}-{stat.rpartition(')')[2].split()[19]}"
        assert is_alive(key)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(key)


def test_a_process_that_has_ended_is_not_alive() -> None:
    """Nobody waits for it any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert not is_alive(str(child.pid))


def test_a_process_on_another_machine_counts_as_alive() -> None:
    """Until it is told otherwise; but nobody is sure of it."""
    assert is_alive("123-456@elsewhere")
    assert not is_surely_alive("123-456@elsewhere")
