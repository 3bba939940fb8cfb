"""What keeps the daemon running on Windows; all but the console window works anywhere."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import claude_mailbox
from claude_mailbox.autostart import keeper, service_host
from claude_mailbox.autostart.resident import Resident
from claude_mailbox.autostart.service_host import Host, ServiceStatus, status

STOPPED, START_PENDING, STOP_PENDING, RUNNING = 1, 2, 3, 4
STOP, INTERROGATE, PAUSE = 1, 4, 2
WAITS = "import sys; sys.stdin.read()"


class Failing:
    """A daemon that ends with one exit status after another, on a clock of its own."""

    def __init__(self, *ends: tuple[int, float]) -> None:
        self._ends = iter(ends)
        self._now = 0.0
        self.pauses: list[float] = []
        self.said: list[str] = []

    def keep(self) -> None:
        keeper.keep(self._run, self.said.append, self.pauses.append, lambda: self._now)

    def _run(self) -> int:
        code, seconds = next(self._ends)
        self._now += seconds
        return code


class TestKeep:
    @pytest.mark.parametrize("code", [0, 15])
    def test_a_wanted_end_is_the_end(self, code: int) -> None:
        """0 is a shutdown; 15 is what `stop` does to a process of Windows."""
        daemon = Failing((code, 1))
        daemon.keep()
        assert daemon.pauses == []

    def test_waits_longer_after_each_failure(self) -> None:
        """Doubled from a second to a minute."""
        daemon = Failing(*[(1, 0.5)] * 8, (0, 1))
        daemon.keep()
        assert daemon.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert daemon.said[1] == "The daemon ended with exit status 1; starting it again in 2 s."

    def test_a_good_run_is_a_new_beginning(self) -> None:
        """A crash a day is not a crash loop."""
        daemon = Failing((1, 0.5), (1, 0.5), (1, 60), (1, 0.5), (0, 1))
        daemon.keep()
        assert daemon.pauses == [1, 2, 1, 2]


class TestArguments:
    @pytest.mark.parametrize("home", [None, r"D:\my mail"])
    def test_there_and_back(self, home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is given to the keeper is what the daemon gets."""
        monkeypatch.delenv("CLAUDE_MAILBOX_HOME", raising=False)
        arguments = keeper.keeper_arguments(home, ["--port", "1"], "the.keeper")
        assert arguments[:3] == ["-P", "-m", "the.keeper"]
        command, environment = keeper.child(arguments[3:], "python.exe")
        assert command == ["python.exe", "-P", "-m", "claude_mailbox", "serve", "--port", "1"]
        assert environment.get("CLAUDE_MAILBOX_HOME") == home


class TestLog:
    def test_a_long_log_makes_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One older log is kept."""
        monkeypatch.setattr(keeper, "_LOG_LIMIT", 3)
        log = tmp_path / "daemon.log"
        keeper.trim(str(log))
        log.write_text("old")
        keeper.trim(str(log))
        assert log.exists()
        log.write_text("older")
        keeper.trim(str(log))
        assert not log.exists()
        assert (tmp_path / "daemon.log.old").read_text() == "older"


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
class TestForReal:
    def test_a_killed_daemon_comes_back_and_a_stopped_one_does_not(self, tmp_path: Path) -> None:
        """The keeper with a real daemon: kill -9, then a wanted end."""
        home = tmp_path / "mail"
        arguments = keeper.keeper_arguments(str(home), ["--port", "0"], keeper.__name__)
        environment = {**os.environ, "PYTHONPATH": str(Path(claude_mailbox.__file__).parents[1])}
        resident = Resident(str(home))
        with subprocess.Popen([sys.executable, *arguments], env=environment) as process:
            try:
                first = resident.await_ready("", lambda: process.poll() is not None)
                os.kill(first.pid, signal.SIGKILL)
                resident.await_end(first)
                second = resident.await_ready("", lambda: process.poll() is not None)
                resident.stop()
                assert process.wait(30) == 0
            finally:
                process.kill()
                found = resident.running()
                if found is not None:
                    os.kill(found.pid, signal.SIGKILL)
        assert second != first
        log = (home / "daemon.log").read_text()
        assert log.count("listens on") == 2
        assert log.count("starting it again in 1 s") == 1


class Reports:
    """Keeps what the service manager is told, and lets a test wait for a state."""

    def __init__(self) -> None:
        self.states: list[tuple[int, int]] = []
        self.is_running = threading.Event()

    def __call__(self, state: int, code: int) -> None:
        self.states.append((state, code))
        if state == RUNNING:
            self.is_running.set()


def child(code: str) -> "subprocess.Popen[bytes]":
    """Start a process that runs *code*."""
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


class TestServiceHost:
    def test_a_failure_is_reported(self) -> None:
        """So the service manager starts the service again."""
        reports = Reports()
        with child("raise SystemExit(3)") as process:
            Host(lambda: process, reports).run()
        assert reports.states == [(START_PENDING, 0), (RUNNING, 0), (STOPPED, 3)]

    def test_a_stop_is_no_failure(self) -> None:
        """The daemon is ended, and the service is just stopped."""
        reports = Reports()
        with child(WAITS) as process:
            host = Host(lambda: process, reports)
            thread = threading.Thread(target=host.run)
            thread.start()
            assert reports.is_running.wait(30)
            assert host.control(STOP) == 0
            thread.join(30)
        expected = [(START_PENDING, 0), (RUNNING, 0), (STOP_PENDING, 0), (STOPPED, 0)]
        assert reports.states == expected

    def test_a_stop_before_the_start(self) -> None:
        """Then nothing is started."""
        reports = Reports()

        def start() -> "subprocess.Popen[bytes]":
            raise AssertionError("it was started")

        host = Host(start, reports)
        host.control(STOP)
        host.run()
        assert reports.states == [(STOP_PENDING, 0), (START_PENDING, 0), (STOPPED, 0)]

    def test_a_late_stop_is_not_answered(self) -> None:
        """A stopped service must not say that it is stopping."""
        reports = Reports()
        with child("pass") as process:
            host = Host(lambda: process, reports)
            host.run()
            host.control(STOP)
        assert reports.states[-1] == (STOPPED, 0)

    def test_a_program_that_cannot_be_started_is_a_failure(self) -> None:
        """The error's number is the exit status."""
        reports = Reports()

        def start() -> "subprocess.Popen[bytes]":
            raise FileNotFoundError(2, "no python.exe")

        Host(start, reports).run()
        assert reports.states == [(START_PENDING, 0), (STOPPED, 2)]

    def test_other_controls(self) -> None:
        """A question is fine, and what is not understood is said to be."""
        host = Host(lambda: child("pass"), Reports())
        assert (host.control(INTERROGATE), host.control(PAUSE)) == (0, 120)

    def test_status(self) -> None:
        """The structure has seven numbers of 32 bits; only a running service takes a stop."""
        assert bytes(ServiceStatus()) == bytes(28)
        assert (status(RUNNING, 0).accepted, status(STOP_PENDING, 0).accepted) == (5, 0)
        assert (status(STOPPED, 0).exit_code, status(STOPPED, 0).specific_code) == (0, 0)
        assert (status(STOPPED, 3).exit_code, status(STOPPED, 3).specific_code) == (1066, 3)
        assert status(STOPPED, -9).specific_code == 0xFFFFFFF7


class Entry:
    """A function of advapi32 that takes the types that it is given."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self.argtypes: object = None
        self.restype: object = None

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


class Advapi32:
    """The service manager: starts the service, and stops it as soon as it runs."""

    def __init__(self) -> None:
        self.states: list[int] = []
        self.name = ""
        self.is_manager = True
        self.RegisterServiceCtrlHandlerExW = Entry(self._register)
        self.SetServiceStatus = Entry(self._set_status)
        self.StartServiceCtrlDispatcherW = Entry(self._dispatch)

    def _register(self, name: str, handler: Callable[..., int], _context: object) -> int:
        self.name, self._handler = name, handler
        return 42

    def _set_status(self, handle: int, reference: Any) -> bool:
        assert handle == 42
        self.states.append(reference._obj.state)
        if reference._obj.state == RUNNING:
            self._stopper = threading.Thread(target=self._handler, args=(STOP, 0, None, None))
            self._stopper.start()
        return True

    def _dispatch(self, table: Any) -> bool:
        assert (table[1].name, bool(table[1].main)) == (None, False)
        if self.is_manager:
            table[0].main(0, None)
            self._stopper.join()
        return self.is_manager


class TestServiceProcess:
    @pytest.fixture
    def advapi32(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Advapi32:
        """The library that Windows has; callbacks go through C as they do there."""
        library = Advapi32()
        waits = [sys.executable, "-c", "import signal; signal.pause()"]
        home = {**os.environ, "CLAUDE_MAILBOX_HOME": str(tmp_path)}
        monkeypatch.setattr(service_host, "child", lambda *_arguments: (waits, home))
        monkeypatch.setattr(os, "environ", dict(os.environ))
        monkeypatch.setattr(ctypes, "WinDLL", lambda *_a, **_o: library, raising=False)
        monkeypatch.setattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE, raising=False)
        monkeypatch.setattr(ctypes, "get_last_error", lambda: 1063, raising=False)
        return library

    def test_runs_and_stops(self, advapi32: Advapi32, tmp_path: Path) -> None:
        """From the dispatcher through both callbacks to the end."""
        service_host.main()
        assert advapi32.name == "claude-mailbox"
        assert advapi32.states == [START_PENDING, RUNNING, STOP_PENDING, STOPPED]
        assert (tmp_path / "daemon.log").read_text() == ""

    def test_nobody_else_can_start_it(self, advapi32: Advapi32) -> None:
        """Called from a terminal it says what to do."""
        advapi32.is_manager = False
        with pytest.raises(SystemExit, match=r"error 1063.*sc\.exe start claude-mailbox"):
            service_host.main()
