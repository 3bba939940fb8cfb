"""macOS: a LaunchAgent of the user.

launchd has no growing back-off; ``ThrottleInterval`` is the shortest time between two starts.
"""

import os
import plistlib
import re
import time
from collections.abc import Callable

from claude_mailbox.autostart.base import INSTALLED, NAME, UNCHANGED, UPDATED, Manager
from claude_mailbox.autostart.files import is_same, remove_file, write_file
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import NOT_FOUND, Done
from claude_mailbox.errors import AutostartError

_UNLOAD_SECONDS = 25.0
_LOOK_SECONDS = 0.1


# Pure


def agent(program: Program, log: str) -> bytes:
    """Return the property list of the agent, which writes its output to *log*."""
    return plistlib.dumps(
        {
            "Label": NAME,
            "ProgramArguments": [program.python, *program.arguments],
            "EnvironmentVariables": dict(program.environment),
            "RunAtLoad": True,
            # Started again after a crash and after an exit status other than 0, left alone
            # after a wanted end.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "StandardOutPath": log,
            "StandardErrorPath": log,
        },
        sort_keys=False,
    )


# I/O


class Launchd(Manager):
    """An agent in ``~/Library/LaunchAgents``."""

    # A seam for tests, which do not wait for a launchd that is not there.
    pause: Callable[[float], None] = staticmethod(time.sleep)

    def require(self, service: bool) -> None:
        if service:
            raise AutostartError("--service is for Windows only: leave it out.")
        found = self._launchctl("version")
        if found.code == NOT_FOUND:
            raise AutostartError(
                f"launchd is not to be had ({found.reason}). Nothing was written. Start the"
                " daemon with 'claude-mailbox start'."
            )

    def write(self, service: bool) -> str:
        path, content = self._path(), agent(self.program, self._log())
        if is_same(path, content) and self._is_loaded():
            return UNCHANGED
        state = UPDATED if os.path.exists(path) else INSTALLED
        self._unload()
        write_file(path, content)
        try:
            # Somebody may have switched an agent of this label off; then it cannot be loaded.
            self._must("enable", self._target())
        except AutostartError:
            if state == INSTALLED:
                self.remove()
            raise
        return state

    def remove(self) -> bool:
        if not self.installed():
            return False
        self._unload()
        remove_file(self._path())
        remove_file(self._log())
        return True

    def installed(self) -> bool:
        return os.path.lexists(self._path())

    def describe(self) -> str:
        return f"LaunchAgent {self._path()}"

    def start(self) -> None:
        if not self._is_loaded():
            self._must("bootstrap", self._domain(), self._path())
        self._must("kickstart", self._target())

    def stop(self) -> None:
        # SIGTERM makes it end with status 0, and launchd leaves it so.
        if self._pid() is not None:
            self._must("kill", "SIGTERM", self._target())

    def log_hint(self) -> str:
        return f"tail -f '{self._log()}'"

    def owns(self, daemon: Running) -> bool:
        return self._pid() == daemon.pid

    def _unload(self) -> None:
        """Unload the agent and return when launchd has let go of it, which takes its time."""
        if not self._is_loaded():
            return
        self._must("bootout", self._target())
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while self._is_loaded():
            if time.monotonic() > deadline:
                raise AutostartError(
                    f"launchd does not let go of {self._target()}: log out and in, and try again."
                )
            self.pause(_LOOK_SECONDS)

    def _is_loaded(self) -> bool:
        return not self._launchctl("print", self._target()).code

    def _pid(self) -> int | None:
        shown = self._launchctl("print", self._target())
        found = re.search(r"^\s*pid = (\d+)$", shown.output, re.MULTILINE)
        return int(found[1]) if found else None

    def _domain(self) -> str:
        """Return the domain of the desktop, or the user's own where nobody is logged in there."""
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

    def _launchctl(self, *arguments: str) -> Done:
        return self.runner.run(["launchctl", *arguments])

    def _must(self, *arguments: str) -> None:
        self.runner.must(["launchctl", *arguments])
