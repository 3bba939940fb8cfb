"""The supervisor of the daemon on Windows. All of it but the window works on any platform."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox.autostart.home_daemon import HomeDaemon
from claude_mailbox.autostart.windows import supervisor


class FailingDaemon:
    """A daemon that exits with one status after another, and a fake clock."""

    def __init__(self, *ends: tuple[int, float]) -> None:
        self._ends = iter(ends)
        self._now = 0.0
        self.pauses: list[float] = []
        self.lines: list[str] = []

    def supervise(self) -> None:
        supervisor.supervise(self._run, self.lines.append, self.pauses.append, lambda: self._now)

    def _run(self) -> int:
        code, seconds = next(self._ends)
        self._now += seconds
        return code


class TestSupervise:
    @pytest.mark.parametrize("code", [0, 15])
    def test_a_daemon_that_was_stopped_is_not_started_again(self, code: int) -> None:
        """Its status is 0, or 15 if `stop` has ended it on Windows."""
        daemon = FailingDaemon((code, 1))
        daemon.supervise()
        assert daemon.pauses == []

    def test_waits_longer_after_each_failure(self) -> None:
        """The pause doubles, from a second to a minute."""
        daemon = FailingDaemon(*[(1, 0.5)] * 8, (0, 1))
        daemon.supervise()
        assert daemon.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert daemon.lines[1] == "The daemon exited with status 1; starting it again in 2 s."

    def test_a_failure_after_a_long_run_counts_as_the_first(self) -> None:
        """The pause is short again."""
        daemon = FailingDaemon((1, 0.5), (1, 0.5), (1, 60), (1, 0.5), (0, 1))
        daemon.supervise()
        assert daemon.pauses == [1, 2, 1, 2]


class TestArguments:
    @pytest.mark.parametrize("home", [None, r"D:\my mail"])
    def test_the_daemon_gets_the_home_folder_and_the_flags(
        self, home: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Through the arguments of the supervisor."""
        monkeypatch.delenv("CLAUDE_MAILBOX_HOME", raising=False)
        monkeypatch.delenv("PYTHONPATH", raising=False)
        arguments = supervisor.module_arguments(home, ["--port", "1"], "the.module")
        assert arguments[:3] == ["-E", "-P", "-m"]
        command, environment = supervisor.daemon_command(arguments[4:], "python.exe")
        assert command == ["python.exe", "-E", "-P", "-m", "claude_mailbox", "serve", "--port", "1"]
        assert environment.get("CLAUDE_MAILBOX_HOME") == home


class TestLog:
    def test_a_long_log_is_renamed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One older log is kept."""
        monkeypatch.setattr(supervisor, "_LOG_LIMIT", 3)
        log = tmp_path / "daemon.log"
        supervisor.rotate_log(str(log))
        log.write_text("old")
        supervisor.rotate_log(str(log))
        assert log.exists()
        log.write_text("older")
        supervisor.rotate_log(str(log))
        assert not log.exists()
        assert (tmp_path / "daemon.log.old").read_text() == "older"


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
class TestMain:
    def test_restarts_a_killed_daemon_and_ends_with_a_stopped_one(self, tmp_path: Path) -> None:
        """With a real daemon."""
        home = tmp_path / "mail"
        arguments = supervisor.module_arguments(str(home), ["--port", "0"], supervisor.__name__)
        environment = {**os.environ, "PYTHONPATH": str(Path(claude_mailbox.__file__).parents[1])}
        home_daemon = HomeDaemon(str(home))
        with subprocess.Popen([sys.executable, *arguments], env=environment) as process:
            try:
                first = home_daemon.await_ready("", lambda: process.poll() is not None)
                os.kill(first.pid, signal.SIGKILL)
                home_daemon.await_end(first)
                second = home_daemon.await_ready("", lambda: process.poll() is not None)
                home_daemon.stop()
                assert process.wait(30) == 0
            finally:
                process.kill()
                found = home_daemon.running()
                if found is not None:
                    os.kill(found.pid, signal.SIGKILL)
        assert second != first
        log = (home / "daemon.log").read_text()
        assert log.count("listens on") == 2
        assert log.count("starting it again in 1 s") == 1
