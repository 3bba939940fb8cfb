"""Finding the daemon, or starting it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from claude_mailbox.client.reach import lock, startup
from claude_mailbox.errors import DaemonUnreachable, StartupError
from support.commandline import CommandLine, kill_all_in
from support.daemon import DaemonProcess

ENSURE = """
import json
from claude_mailbox.client.reach import startup
health, is_new = startup.ensure()
print(json.dumps([health["pid"], is_new]))
"""


def holder_pid() -> int | None:
    """Return the pid of the home folder's daemon."""
    found = lock.holder()
    pid = found.get("pid") if found else None
    return pid if isinstance(pid, int) else None


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonProcess]:
    """A home folder without a daemon; one that is started there is killed at the end."""
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


class TestEnsure:
    def test_starts_one_that_outlives_us(self, home: DaemonProcess) -> None:
        """Detached: no session, no terminal, no output of ours; and found the next time.

        Its log does not grow for ever: a large one is moved away first.
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
        health, is_new = startup.ensure()
        assert (health["pid"], is_new) == (pid, False)

    def test_several_at_once_end_with_one_daemon(self, home: DaemonProcess) -> None:
        """All of them get the same one, and none fails."""
        children = [
            subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE)
            for _ in range(3)
        ]
        pids = {json.loads(child.communicate()[0])[0] for child in children}
        assert [child.returncode for child in children] == [0, 0, 0]
        assert pids == {holder_pid()}

    def test_says_why_it_does_not_start(self, home: DaemonProcess) -> None:
        """The daemon's own sentence, not that of a life before."""
        (home.home / "daemon.log").write_text("Error: An old story.\n")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            (home.home / "mailbox.json").write_text(json.dumps({"port": port}))
            with pytest.raises(StartupError, match=str(port)):
                startup.ensure()
        (home.home / "mailbox.json").write_text("{")
        with pytest.raises(StartupError, match="not valid JSON"):
            startup.ensure()

    def test_a_home_that_cannot_be_written(
        self, home: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sentence about permissions."""
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", "/proc/no")
        with pytest.raises(StartupError, match="check the permissions"):
            startup.ensure()

    def test_another_address_is_not_ours_to_start(self, home: DaemonProcess) -> None:
        """A daemon that was named by its address lives somewhere else."""
        with pytest.raises(DaemonUnreachable, match="must be started there"):
            startup.ensure("http://127.0.0.1:9")

    def test_one_that_does_not_answer_in_time(self, home: DaemonProcess) -> None:
        """The sentence names the log."""
        with pytest.raises(StartupError, match=r"within 0 seconds: see .*daemon\.log"):
            startup.await_health(None, seconds=0)


class TestLock:
    def test_tells_who_runs(self, own: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        """As long as the daemon lives; a killed one holds nothing."""
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(own.process.home))
        assert holder_pid() == own.process.pid
        own.process.kill()
        assert lock.holder() is None

    def test_without_a_file_nobody_runs(
        self, home: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A home that was never used, or is not there."""
        assert lock.holder() is None
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", "/no/such/place")
        assert lock.holder() is None
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", "/proc/self/mem")
        assert lock.holder() == {}

    def test_a_daemon_that_has_not_written_yet(self, home: DaemonProcess) -> None:
        """Somebody runs, but does not say who."""
        import fcntl

        for content in ("", "not json", "[]"):
            path = home.home / "mailbox.lock"
            path.write_text(content)
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                assert lock.holder() == {}
