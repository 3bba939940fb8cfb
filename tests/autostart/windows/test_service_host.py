"""The program of the Windows service, with a service manager in Python."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.autostart.windows import service_host
from claude_mailbox.autostart.windows.service_host import ServiceHost, ServiceStatus, status

STOPPED, START_PENDING, STOP_PENDING, RUNNING = 1, 2, 3, 4
STOP, INTERROGATE, PAUSE = 1, 4, 2
WAITS = "import sys; sys.stdin.read()"


class Reports:
    """Records the reports to the service manager, and lets a test wait for a state."""

    def __init__(self) -> None:
        self.states: list[tuple[int, int]] = []
        self.is_running = threading.Event()

    def __call__(self, state: int, code: int) -> None:
        self.states.append((state, code))
        if state == RUNNING:
            self.is_running.set()


def start_python(code: str) -> "subprocess.Popen[bytes]":
    """Start a process that runs *code*."""
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


class TestServiceHost:
    def test_reports_a_failure(self) -> None:
        """The service manager starts the service again then."""
        reports = Reports()
        with start_python("raise SystemExit(3)") as process:
            ServiceHost(lambda: process, reports).run()
        assert reports.states == [(START_PENDING, 0), (RUNNING, 0), (STOPPED, 3)]

    def test_a_stop_is_not_a_failure(self) -> None:
        """The daemon is terminated, and its exit status is not reported."""
        reports = Reports()
        with start_python(WAITS) as process:
            host = ServiceHost(lambda: process, reports)
            thread = threading.Thread(target=host.run)
            thread.start()
            assert reports.is_running.wait(30)
            assert host.control(STOP) == 0
            thread.join(30)
        expected = [(START_PENDING, 0), (RUNNING, 0), (STOP_PENDING, 0), (STOPPED, 0)]
        assert reports.states == expected

    def test_a_stop_before_the_start(self) -> None:
        """The daemon is not started."""
        reports = Reports()

        def start() -> "subprocess.Popen[bytes]":
            raise AssertionError("the daemon was started")

        host = ServiceHost(start, reports)
        host.control(STOP)
        host.run()
        assert reports.states == [(STOP_PENDING, 0), (START_PENDING, 0), (STOPPED, 0)]

    def test_a_stop_after_the_end_is_not_reported(self) -> None:
        """A stopped service must not report that it is stopping."""
        reports = Reports()
        with start_python("pass") as process:
            host = ServiceHost(lambda: process, reports)
            host.run()
            host.control(STOP)
        assert reports.states[-1] == (STOPPED, 0)

    def test_a_daemon_that_cannot_be_started_is_a_failure(self) -> None:
        """The error number is reported as the exit status."""
        reports = Reports()

        def start() -> "subprocess.Popen[bytes]":
            raise FileNotFoundError(2, "no python.exe")

        ServiceHost(start, reports).run()
        assert reports.states == [(START_PENDING, 0), (STOPPED, 2)]

    def test_other_control_codes(self) -> None:
        """INTERROGATE is accepted, others are not implemented."""
        host = ServiceHost(lambda: start_python("pass"), Reports())
        assert (host.control(INTERROGATE), host.control(PAUSE)) == (0, 120)

    def test_status_is_the_structure_of_windows(self) -> None:
        """Seven numbers of 32 bits; only a running service accepts a stop."""
        assert bytes(ServiceStatus()) == bytes(28)
        assert (status(RUNNING, 0).accepted, status(STOP_PENDING, 0).accepted) == (5, 0)
        assert (status(STOPPED, 0).exit_code, status(STOPPED, 0).specific_code) == (0, 0)
        assert (status(STOPPED, 3).exit_code, status(STOPPED, 3).specific_code) == (1066, 3)
        assert status(STOPPED, -9).specific_code == 0xFFFFFFF7


class LibraryFunction:
    """A function of advapi32, whose types can be set."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self.argtypes: object = None
        self.restype: object = None

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


class Advapi32:
    """A fake service manager: it starts the service, and stops it as soon as it runs."""

    def __init__(self) -> None:
        self.states: list[int] = []
        self.name = ""
        self.is_manager = True
        self.RegisterServiceCtrlHandlerExW = LibraryFunction(self._register)
        self.SetServiceStatus = LibraryFunction(self._set_status)
        self.StartServiceCtrlDispatcherW = LibraryFunction(self._dispatch)

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
        """The fake library. Its callbacks go through C, as those of the real one."""
        library = Advapi32()
        waits = [sys.executable, "-c", "import signal; signal.pause()"]
        home = {**os.environ, "CLAUDE_MAILBOX_HOME": str(tmp_path)}
        monkeypatch.setattr(service_host, "daemon_command", lambda *_arguments: (waits, home))
        monkeypatch.setattr(os, "environ", dict(os.environ))
        monkeypatch.setattr(ctypes, "WinDLL", lambda *_a, **_o: library, raising=False)
        monkeypatch.setattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE, raising=False)
        monkeypatch.setattr(ctypes, "get_last_error", lambda: 1063, raising=False)
        return library

    def test_runs_the_daemon_until_it_is_stopped(self, advapi32: Advapi32, tmp_path: Path) -> None:
        """Through the dispatcher and both callbacks."""
        service_host.main()
        assert advapi32.name == "claude-mailbox"
        assert advapi32.states == [START_PENDING, RUNNING, STOP_PENDING, STOPPED]
        assert (tmp_path / "daemon.log").read_text() == ""

    def test_started_from_a_terminal_says_what_to_do(self, advapi32: Advapi32) -> None:
        """Only the service manager can start it."""
        advapi32.is_manager = False
        with pytest.raises(SystemExit, match=r"error 1063.*sc\.exe start claude-mailbox"):
            service_host.main()
