"""The program that Windows starts as our service: it runs the daemon.

``sc.exe`` can register any program, but the service manager ends a program that does not call
``StartServiceCtrlDispatcherW`` within 30 seconds, and expects it to report its state.
"""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from claude_mailbox import paths
from claude_mailbox.autostart.base import NAME
from claude_mailbox.autostart.windows.supervisor import (
    daemon_command,
    rotate_log,
    start_daemon,
)

_OWN_PROCESS = 0x10
_STOPPED, _START_PENDING, _STOP_PENDING, _RUNNING = 1, 2, 3, 4
_ACCEPT_STOP, _ACCEPT_SHUTDOWN = 1, 4
_CONTROL_STOP, _CONTROL_INTERROGATE, _CONTROL_SHUTDOWN = 1, 4, 5
_NO_ERROR, _CALL_NOT_IMPLEMENTED, _SERVICE_SPECIFIC_ERROR = 0, 120, 1066
_STOP_SECONDS = 20

# Reports a state to the service manager and, with "stopped", the daemon's exit status.
Report = Callable[[int, int], None]


class ServiceStatus(ctypes.Structure):
    """SERVICE_STATUS of winsvc.h."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("accepted", ctypes.c_uint32),
        ("exit_code", ctypes.c_uint32),
        ("specific_code", ctypes.c_uint32),
        ("checkpoint", ctypes.c_uint32),
        ("wait_hint", ctypes.c_uint32),
    )


def status(state: int, code: int) -> ServiceStatus:
    """Return the structure that reports *state* and the exit status *code*."""
    return ServiceStatus(
        type=_OWN_PROCESS,
        state=state,
        accepted=_ACCEPT_STOP | _ACCEPT_SHUTDOWN if state == _RUNNING else 0,
        exit_code=_SERVICE_SPECIFIC_ERROR if code else _NO_ERROR,
        specific_code=code & 0xFFFFFFFF,
        wait_hint=_STOP_SECONDS * 1000 if state in (_START_PENDING, _STOP_PENDING) else 0,
    )


class ServiceHost:
    """Runs the daemon until it ends or the service manager stops it.

    Args:
        start: starts the process of the daemon.
        report: reports a state to the service manager.
    """

    def __init__(self, start: Callable[[], "subprocess.Popen[bytes]"], report: Report) -> None:
        self._start = start
        self._report = report
        self._stop_wanted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ended = False
        # `run` and `control` are called on different threads.
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run the daemon to its end; after a failure the service manager starts us again."""
        self._report(_START_PENDING, 0)
        try:
            with self._lock:
                if not self._stop_wanted.is_set():
                    self._process = self._start()
            code = 0
            if self._process is not None:
                self._report(_RUNNING, 0)
                code = self._process.wait()
        except OSError as error:
            code = error.errno or 1
        with self._lock:
            self._has_ended = True
            self._report(_STOPPED, 0 if self._stop_wanted.is_set() else code)

    def control(self, control: int) -> int:
        """Handle a control code of the service manager, and return an error code."""
        if control in (_CONTROL_STOP, _CONTROL_SHUTDOWN):
            self._stop_wanted.set()
            with self._lock:
                if not self._has_ended:
                    self._report(_STOP_PENDING, 0)
                if self._process is not None:
                    self._process.terminate()
            return _NO_ERROR
        return _NO_ERROR if control == _CONTROL_INTERROGATE else _CALL_NOT_IMPLEMENTED


def main() -> None:
    """Connect to the service manager, and return when the service has stopped."""
    library: Any = ctypes.WinDLL("advapi32", use_last_error=True)  # type: ignore[attr-defined]
    prototype: Any = ctypes.WINFUNCTYPE  # type: ignore[attr-defined]
    main_type = prototype(None, ctypes.c_uint32, ctypes.POINTER(ctypes.c_wchar_p))
    handler_type = prototype(
        ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p
    )
    library.RegisterServiceCtrlHandlerExW.restype = ctypes.c_void_p
    library.RegisterServiceCtrlHandlerExW.argtypes = (
        ctypes.c_wchar_p,
        handler_type,
        ctypes.c_void_p,
    )
    library.SetServiceStatus.argtypes = (ctypes.c_void_p, ctypes.POINTER(ServiceStatus))

    class TableEntry(ctypes.Structure):
        """SERVICE_TABLE_ENTRYW of winsvc.h."""

        _fields_ = (("name", ctypes.c_wchar_p), ("main", main_type))

    arguments = sys.argv[1:]
    handle: Any = None

    def start() -> "subprocess.Popen[bytes]":
        command, environment = daemon_command(arguments, sys.executable)
        os.environ.update(environment)
        log = paths.log_path()
        rotate_log(log)
        return start_daemon(command, environment, log)

    def report(state: int, code: int) -> None:
        library.SetServiceStatus(handle, ctypes.byref(status(state, code)))

    host = ServiceHost(start, report)
    # C calls both callbacks, so they must stay referenced until the end.
    handler = handler_type(lambda control, _event, _data, _context: host.control(control))

    @main_type  # type: ignore[untyped-decorator]
    def service_main(_count: int, _arguments: object) -> None:
        nonlocal handle
        handle = library.RegisterServiceCtrlHandlerExW(NAME, handler, None)
        host.run()

    table = (TableEntry * 2)(TableEntry(NAME, service_main), TableEntry(None, main_type()))
    if not library.StartServiceCtrlDispatcherW(table):
        code = ctypes.get_last_error()  # type: ignore[attr-defined]
        sys.exit(f"Only the service manager can start this (error {code}): sc.exe start {NAME}")


if __name__ == "__main__":
    main()
