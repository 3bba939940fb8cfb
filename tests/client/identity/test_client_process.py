"""Which process of Claude Code a hook belongs to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox.client.identity import client_process
from claude_mailbox.client.identity.client_process import client_key, is_running
from claude_mailbox.daemon.delivery.parties.processes import is_alive


@pytest.fixture(autouse=True)
def _outside_of_claude_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of a session of Claude Code that may run these tests."""
    for name in ("CLAUDE_PID", "CLAUDE_CODE_MESSAGING_SOCKET"):
        monkeypatch.delenv(name, raising=False)


def test_a_hook_and_a_helper_find_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook gets the process id, the helper of the MCP connection the name of a socket."""
    pid = str(os.getpid())
    monkeypatch.setenv("CLAUDE_PID", pid)
    key = client_key()
    monkeypatch.delenv("CLAUDE_PID")
    monkeypatch.setenv("CLAUDE_CODE_MESSAGING_SOCKET", f"/tmp/cc-socks/{pid}.sock")
    assert client_key() == key
    assert key is not None
    assert key.partition("-")[0] == pid


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    """A terminal may never ask how the client ended that was killed in it."""
    process = subprocess.Popen(["sleep", "1000"])
    assert is_running(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(process.pid)
    process.wait()
    assert not is_running(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_processes_with_the_same_id_have_different_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key has the time at which the process started, which the daemon checks."""
    monkeypatch.setenv("CLAUDE_PID", str(os.getpid()))
    key = client_key()
    assert key is not None
    assert is_alive(key)
    assert not is_alive(f"{os.getpid()}-1")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_without_variables_it_is_the_nearest_ancestor_that_is_not_a_shell() -> None:
    """Claude Code starts hooks through a shell or directly."""
    program = (
        "from claude_mailbox.client.identity.client_process import client_key; print(client_key())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(client_process.__file__).parents[3])}
    direct = [sys.executable, "-c", program]
    shell = ["sh", "-c", '"$@"; true', "sh", *direct]
    for command in (direct, shell):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.stdout.partition("-")[0].strip() == str(os.getpid()), done.stderr


def test_an_invalid_process_id_gives_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No header is better than a wrong one."""
    monkeypatch.setenv("CLAUDE_PID", "not a number")
    assert client_key() is None
