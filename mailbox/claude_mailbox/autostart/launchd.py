"""macOS: a LaunchAgent of the user.

launchd does not wait longer after each failure: ``ThrottleInterval`` is the shortest time between
two starts.
"""

import os
import plistlib
import re
import time
from collections.abc import Callable

from claude_mailbox.autostart.base import INSTALLED, NAME, UNCHANGED, UPDATED, Manager
from claude_mailbox.autostart.command_runner import NOT_FOUND, CommandResult
from claude_mailbox.autostart.files import is_same, remove_file, write_file
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.program import Program
from claude_mailbox.errors import AutostartError

_UNLOAD_SECONDS = 25.0
_POLL_SECONDS = 0.1


def agent(program: Program, log: str) -> bytes:
    """Return the property list of an agent that writes its output to *log*."""
    return plistlib.dumps(
        {
            "Label": NAME,
            "ProgramArguments": [program.python, *program.arguments],
            "EnvironmentVariables": dict(program.environment),
            "RunAtLoad": True,
            # Start it again after a crash or an exit status other than 0.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "StandardOutPath": log,
            "StandardErrorPath": log,
        },
        sort_keys=False,
    )


class Launchd(Manager):
    """An agent in ``~/Library/LaunchAgents``."""

    # Tests with a fake launchd replace it, so that they do not wait.
    pause: Callable[[float], None] = staticmethod(time.sleep)

    def check_supported(self, service: bool) -> None:
        if service:
            raise AutostartError("--service is for Windows only: leave it out.")
        found = self._launchctl("version")
        if found.code == NOT_FOUND:
            raise AutostartError(
                f"launchd is not available ({found.reason}). Nothing was written. Start the"
                " daemon with 'claude-mailbox start'."
            )

    def write_entry(self, service: bool) -> str:
        path, content = self._path(), agent(self.program, self._log())
        if is_same(path, content) and self._is_loaded():
            return UNCHANGED
        state = UPDATED if os.path.exists(path) else INSTALLED
        self._unload()
        write_file(path, content)
        try:
            # An agent that the user has disabled could not be loaded.
            self._run_checked("enable", self._target())
        except AutostartError:
            if state == INSTALLED:
                self.remove_entry()
            raise
        return state

    def remove_entry(self) -> bool:
        if not self.is_installed():
            return False
        self._unload()
        remove_file(self._path())
        remove_file(self._log())
        return True

    def is_installed(self) -> bool:
        return os.path.lexists(self._path())

    def describe(self) -> str:
        return f"LaunchAgent {self._path()}"

    def start(self) -> None:
        if not self._is_loaded():
            self._run_checked("bootstrap", self._domain(), self._path())
        self._run_checked("kickstart", self._target())

    def stop(self) -> None:
        # On SIGTERM the daemon exits with 0, so launchd does not start it again.
        if self._pid() is not None:
            self._run_checked("kill", "SIGTERM", self._target())

    def log_hint(self) -> str:
        return f"tail -f '{self._log()}'"

    def runs(self, daemon: RunningDaemon) -> bool:
        return self._pid() == daemon.pid

    def _unload(self) -> None:
        """Unload the agent, and wait until launchd has done so, which it does in the background."""
        if not self._is_loaded():
            return
        self._run_checked("bootout", self._target())
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while self._is_loaded():
            if time.monotonic() > deadline:
                raise AutostartError(
                    f"launchd does not unload {self._target()}: log out and in, and try again."
                )
            self.pause(_POLL_SECONDS)

    def _is_loaded(self) -> bool:
        return not self._launchctl("print", self._target()).code

    def _pid(self) -> int | None:
        shown = self._launchctl("print", self._target())
        found = re.search(r"^\s*pid = (\d+)$", shown.output, re.MULTILINE)
        return int(found[1]) if found else None

    def _domain(self) -> str:
        """Return the domain of the desktop, or the user's own if nobody is logged in there."""
        desktop = f"gui/{os.getuid()}"
        if self._launchctl("print", desktop).code:
            return f"user/{os.getuid()}"
        return desktop

    def _target(self) -> str:
        return f"{self._domain()}/{NAME}"

    def _path(self) -> str:
        return os.path.join(os.path.expanduser("~"), "Library", "LaunchAgents", f"{NAME}.plist")

    def _log(self) -> str:
        return os.path.join(os.path.expanduser("~"), "Library", "Logs", f"{NAME}.log")

    def _launchctl(self, *arguments: str) -> CommandResult:
        return self.runner.run(["launchctl", *arguments])

    def _run_checked(self, *arguments: str) -> None:
        self.runner.run_checked(["launchctl", *arguments])
