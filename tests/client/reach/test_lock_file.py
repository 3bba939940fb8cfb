"""The lock file tells which daemon runs in a home folder."""

import fcntl
from pathlib import Path

import pytest

from claude_mailbox.client.reach.lock_file import running_daemon
from support.commandline import CommandLine


def test_names_the_running_daemon(own: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is killed leaves the file, but not the lock."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(own.process.home))
    running = running_daemon()
    assert running is not None
    assert running["pid"] == own.process.pid
    own.process.kill()
    assert running_daemon() is None


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_lock_file_no_daemon_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    """The home folder may be empty, or not exist."""
    home = tmp_path if exists else tmp_path / "none"
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(home))
    assert running_daemon() is None


def test_a_lock_file_that_cannot_be_read_is_an_unknown_daemon() -> None:
    """The result is empty, not None."""
    assert running_daemon("/proc/self/mem/mailbox.lock") == {}


@pytest.mark.parametrize("content", ["", "not json", "[]"])
def test_a_held_lock_without_content_is_an_unknown_daemon(tmp_path: Path, content: str) -> None:
    """A daemon that is just starting has not written to the file yet."""
    path = tmp_path / "mailbox.lock"
    path.write_text(content)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert running_daemon(str(path)) == {}
