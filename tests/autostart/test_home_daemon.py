"""The running daemon of a home folder, with real daemons."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox.autostart import home_daemon as home_daemon_module
from claude_mailbox.autostart.home_daemon import HomeDaemon
from claude_mailbox.errors import AutostartError
from support.daemon import DaemonProcess

HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(sys.argv[2])
file.flush()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time to wait for anything."""
    for name in ("READY_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(home_daemon_module, name, -1.0)


@pytest.fixture
def lock_holder(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lock, but writes nothing to the file."""
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "mailbox.lock"), ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        yield process
        process.kill()


class TestHomeDaemon:
    def test_finds_and_stops_the_running_daemon(self, daemon: DaemonProcess) -> None:
        """Pid and addresses come from the lock file; stop returns when the daemon has ended."""
        home_daemon = HomeDaemon(str(daemon.home))
        found = home_daemon.running()
        assert found.pid == daemon.pid
        assert found.addresses[0] == daemon.url
        assert home_daemon.await_ready("", lambda: False) == found
        home_daemon.stop()
        assert home_daemon.running() is None
        assert daemon.wait() == 0

    def test_a_killed_daemon_does_not_run(self, daemon: DaemonProcess) -> None:
        """Its pid is still in the file, but the lock is free."""
        daemon.kill()
        assert (daemon.home / "mailbox.lock").read_text() != ""
        home_daemon = HomeDaemon(str(daemon.home))
        assert home_daemon.running() is None
        home_daemon.stop()

    @pytest.mark.parametrize("exists", [True, False])
    def test_without_a_lock_file_no_daemon_runs(self, tmp_path: Path, exists: bool) -> None:
        """The home folder may be empty, or not exist."""
        assert HomeDaemon(str(tmp_path if exists else tmp_path / "none")).running() is None

    @pytest.mark.usefixtures("no_patience", "lock_holder")
    def test_an_unknown_process_that_holds_the_lock_is_left_alone(self, tmp_path: Path) -> None:
        """It is neither stopped nor replaced."""
        with pytest.raises(AutostartError, match="does not say which"):
            HomeDaemon(str(tmp_path)).running()

    def test_stop_of_a_daemon_that_has_just_ended(
        self, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is no error that the process is gone."""
        kill = os.kill

        def kill_late(pid: int, number: int) -> None:
            kill(pid, signal.SIGKILL)
            daemon.wait()
            kill(pid, number)

        monkeypatch.setattr(os, "kill", kill_late)
        HomeDaemon(str(daemon.home)).stop()
        assert HomeDaemon(str(daemon.home)).running() is None

    @pytest.mark.usefixtures("no_patience")
    def test_a_daemon_that_does_not_end_in_time(self, daemon: DaemonProcess) -> None:
        """The sentence names its pid."""
        found = HomeDaemon(str(daemon.home)).running()
        with pytest.raises(AutostartError, match=rf"pid {daemon.pid}\) is stuck: it did not end"):
            HomeDaemon(str(daemon.home)).await_end(found)

    @pytest.mark.usefixtures("no_patience")
    def test_a_daemon_that_is_not_ready_in_time(self, tmp_path: Path) -> None:
        """The sentence says how to read the log."""
        with pytest.raises(AutostartError, match=r"not ready after .* why: the log"):
            HomeDaemon(str(tmp_path)).await_ready("the log", lambda: False)

    def test_a_daemon_that_fails(self, tmp_path: Path) -> None:
        """Nobody waits for it."""
        with pytest.raises(AutostartError, match="fails when it starts"):
            HomeDaemon(str(tmp_path)).await_ready("the log", lambda: True)

    def test_the_daemon_of_another_user(
        self, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """We have no right to stop it."""

        def refuse(_pid: int, _signal: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        with pytest.raises(AutostartError, match="another user"):
            HomeDaemon(str(daemon.home)).stop()
