"""One daemon a home folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox import __version__
from claude_mailbox.daemon.process.lock import HomeLock
from claude_mailbox.errors import StartupError

HOLDER = """
import sys
from claude_mailbox.daemon.process.lock import HomeLock
lock = HomeLock(sys.argv[1])
if "describe" in sys.argv:
    lock.describe(["http://127.0.0.1:1"])
print("held", flush=True)
sys.stdin.read()
"""


def hold(path: Path, *words: str) -> "subprocess.Popen[str]":
    """Let another process hold the lock; return when it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    """Kill the other process."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


class TestHomeLock:
    def test_describes_its_holder(self, scratch: Path) -> None:
        """Pid, version and addresses are one JSON line, which a shorter one replaces whole."""
        path = scratch / "mailbox.lock"
        lock = HomeLock(str(path))
        for addresses in (["http://127.0.0.1:1", "unix:/x"], ["http://127.0.0.1:1"], []):
            lock.describe(addresses)
            content = {"pid": os.getpid(), "version": __version__, "addresses": addresses}
            assert path.read_text() == json.dumps(content) + "\n"
        lock.close()
        lock.close()
        assert path.read_text() == ""
        assert path.stat().st_mode & 0o077 == 0

    def test_keeps_others_out_and_names_the_holder(self, scratch: Path) -> None:
        """The sentence tells the pid and what to do; the holder's words stay."""
        path = scratch / "mailbox.lock"
        process = hold(path, "describe")
        before = path.read_text()
        with pytest.raises(StartupError, match=rf"\(pid {process.pid}\).*claude-mailbox stop"):
            HomeLock(str(path))
        assert path.read_text() == before
        end(process)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 5', "null", "\x00"])
    def test_a_holder_without_a_pid_is_refused_without_one(
        self, scratch: Path, content: str
    ) -> None:
        """While it starts, its pid is not known; nothing is made up."""
        path = scratch / "mailbox.lock"
        process = hold(path)
        path.write_text(content)
        with pytest.raises(StartupError, match="Another claude-mailbox daemon runs in"):
            HomeLock(str(path))
        end(process)

    def test_the_content_of_a_dead_holder_is_removed(self, scratch: Path) -> None:
        """Its pid may be somebody else's by now."""
        path = scratch / "mailbox.lock"
        end(hold(path, "describe"))
        assert path.read_text()
        lock = HomeLock(str(path))
        assert path.read_text() == ""
        lock.close()

    def test_a_short_check_of_the_lock_is_waited_for(
        self, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A lock that is free again in a moment keeps nobody out."""
        # A moment may be long where many tests run at once.
        monkeypatch.setattr("claude_mailbox.daemon.process.lock._PATIENCE_SECONDS", 30)
        path = scratch / "mailbox.lock"
        process = hold(path)
        assert process.stdin is not None
        process.stdin.close()
        HomeLock(str(path)).close()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    @pytest.mark.parametrize("name", ["missing/mailbox.lock", "folder"])
    def test_a_lock_that_cannot_be_made_is_an_error(self, scratch: Path, name: str) -> None:
        """The sentence names the home folder."""
        (scratch / "folder").mkdir()
        with pytest.raises(StartupError, match="Cannot write in the home folder"):
            HomeLock(str(scratch / name))
