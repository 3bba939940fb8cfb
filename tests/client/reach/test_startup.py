"""Finding the running daemon, or starting one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from claude_mailbox.client.reach import startup
from claude_mailbox.client.reach.lock_file import running_daemon
from claude_mailbox.errors import DaemonUnreachable, StartupError
from support.commandline import kill_all_in
from support.daemon import DaemonProcess

ENSURE = """
import json
from claude_mailbox.client.reach import startup
health, is_new = startup.ensure_running()
print(json.dumps([health["pid"], is_new]))
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonProcess]:
    """A home folder without a daemon; daemons that are started there are killed at the end."""
    process = DaemonProcess()
    for key, value in process.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)
    (process.home / "mailbox.json").write_text('{"port": 0}')
    try:
        yield process
    finally:
        kill_all_in(process.home)
        process.close()


class TestEnsureRunning:
    def test_starts_a_daemon_that_outlives_us(self, home: DaemonProcess) -> None:
        """It has a session and a log of its own, and is found the next time.

        A log that is too long is renamed first.
        """
        (home.home / "daemon.log").write_bytes(b"x" * 1_100_000)
        first = subprocess.run([sys.executable, "-c", ENSURE], capture_output=True, check=True)
        pid, is_new = json.loads(first.stdout)
        assert is_new
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert os.readlink(f"/proc/{pid}/fd/1") == str(home.home / "daemon.log")
        assert os.readlink(f"/proc/{pid}/cwd") == str(home.home)
        log = (home.home / "daemon.log").stat()
        assert log.st_mode & 0o777 == 0o600
        assert log.st_size < 10_000
        assert (home.home / "daemon.log.old").stat().st_size == 1_100_000
        health, is_new = startup.ensure_running()
        assert (health["pid"], is_new) == (pid, False)

    def test_several_at_once_start_one_daemon(self, home: DaemonProcess) -> None:
        """All of them get the same daemon, and none fails."""
        children = [
            subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE)
            for _ in range(3)
        ]
        pids = {json.loads(child.communicate()[0])[0] for child in children}
        assert [child.returncode for child in children] == [0, 0, 0]
        running = running_daemon()
        assert running is not None
        assert pids == {running["pid"]}

    def test_says_why_the_daemon_does_not_start(self, home: DaemonProcess) -> None:
        """The sentence is that of this start, not an older one from the log."""
        (home.home / "daemon.log").write_text("Error: An older one.\n")
        (home.home / "mailbox.json").write_text('{"port": -1}')
        with pytest.raises(StartupError, match="'port'"):
            startup.ensure_running()
        (home.home / "mailbox.json").write_text("{")
        with pytest.raises(StartupError, match="not valid JSON"):
            startup.ensure_running()

    def test_a_home_folder_that_cannot_be_written_is_an_error(
        self, home: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sentence says to check the permissions."""
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", "/proc/no")
        with pytest.raises(StartupError, match="check the permissions"):
            startup.ensure_running()

    def test_a_daemon_with_an_explicit_address_is_not_started(self, home: DaemonProcess) -> None:
        """It belongs to another home folder or another machine."""
        with pytest.raises(DaemonUnreachable, match="must be started there"):
            startup.ensure_running("http://127.0.0.1:9")

    def test_a_daemon_that_does_not_answer_in_time_is_an_error(self, home: DaemonProcess) -> None:
        """The sentence names the log."""
        with pytest.raises(StartupError, match=r"within 0 seconds: see .*daemon\.log"):
            startup.await_health(None, seconds=0)
