"""Windows: the daemon as a service, one for all users of the machine.

It runs as LocalService and not as LocalSystem: a program that a user can change must not run with
the rights of the system. LocalService cannot read a user's profile, so Python has to be
installed for all users.
"""

import json
import ntpath
import os
import re
from dataclasses import replace

from claude_mailbox.autostart.base import (
    INSTALLED,
    NAME,
    SUMMARY,
    UNCHANGED,
    UPDATED,
    Manager,
    Outcome,
)
from claude_mailbox.autostart.files import remove_empty, remove_file, write_file
from claude_mailbox.autostart.keeper import keeper_arguments
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.resident import Resident, Running
from claude_mailbox.autostart.runner import Runner
from claude_mailbox.autostart.task import is_expanded
from claude_mailbox.errors import AutostartError

_HOST = "claude_mailbox.autostart.service_host"
_ACCOUNT = r"NT AUTHORITY\LocalService"
# Well-known security identifiers; the names are translated.
_ADMINISTRATORS, _SYSTEM, _USERS, _LOCAL_SERVICE = (
    "*S-1-5-32-544",
    "*S-1-5-18",
    "*S-1-5-32-545",
    "*S-1-5-19",
)
_ELEVATED = "S-1-16-12288"
_ACCESS_DENIED, _NOT_ACTIVE = 5, 1062


def service_exists(runner: Runner) -> bool:
    """Say whether our service is registered."""
    return not runner.run(["sc.exe", "query", NAME]).code


class WindowsService(Manager):
    """The service; everything about it needs an administrator's terminal."""

    @classmethod
    def of(cls, program: Program, runner: Runner) -> "WindowsService":
        """Return the service that runs *program* with a home folder of its own."""
        home = os.path.join(_root(), "home")
        given = {"dbPath": os.path.join(home, "mailbox.db"), **program.given}
        environment = {"CLAUDE_MAILBOX_HOME": home}
        own = replace(program, home=home, environment=environment, given=given)
        return cls(own, runner, Resident(home))

    def require(self, service: bool) -> None:
        if not service:
            raise AutostartError(
                "The Windows service is installed already: run 'claude-mailbox"
                " uninstall-autostart' first, or install it again with --service."
            )
        if _ELEVATED not in self.runner.run(["whoami", "/groups"]).output:
            raise AutostartError(
                "A Windows service needs an administrator: run this in a terminal that was"
                " opened with 'Run as administrator', or leave --service out."
            )
        own = os.environ.get("USERPROFILE", os.path.expanduser("~"))
        profiles = ntpath.dirname(own).lower() + "\\"
        if self.program.python.lower().startswith(profiles):
            raise AutostartError(
                f"A service cannot run Python from a user's profile ({self.program.python}):"
                " install Python and claude-mailbox for all users, or leave --service out."
            )
        if any(is_expanded(word, os.environ) for word in self._command()):
            raise AutostartError("Windows would replace a %NAME% in a path: rename that folder.")

    def write(self, service: bool) -> str:
        import subprocess

        line = subprocess.list2cmdline(self._command())
        if service_exists(self.runner):
            shown = self.runner.run(["sc.exe", "qc", NAME, "8192"])
            if f": {line}\n" in shown.output.replace("\r", ""):
                return UNCHANGED
            self._must("config", "binPath=", line)
            self._prepare_folders()
            return UPDATED
        start = ["start=", "auto", "obj=", _ACCOUNT, "DisplayName=", NAME]
        self._must("create", "binPath=", line, *start)
        try:
            self._must("description", SUMMARY)
            # The last action repeats; an hour without a failure starts the list again.
            actions = "restart/1000/restart/5000/restart/60000"
            self._must("failure", "reset=", "3600", "actions=", actions)
            # Also when the host reports the failure itself, and not only when it crashes.
            self._must("failureflag", "1")
            self._prepare_folders()
        except AutostartError:
            self.remove()
            raise
        return INSTALLED

    def remove(self) -> bool:
        if not self.installed():
            return False
        self.stop()
        self._must("delete")
        place = os.path.join(_root(), "mailbox.json")
        if _is_ours(place):
            remove_file(place)
        return True

    def uninstall(self, purge: bool = False) -> Outcome:
        outcome = super().uninstall(purge)
        remove_empty(_root())
        return outcome

    def installed(self) -> bool:
        return service_exists(self.runner)

    def describe(self) -> str:
        return f"Windows service '{NAME}'"

    def start(self) -> None:
        self._must("start")

    def stop(self) -> None:
        done = self.runner.run(["sc.exe", "stop", NAME])
        if done.code not in (0, _NOT_ACTIVE):
            raise AutostartError(_sentence("stop", done.code, done.reason))

    def log_hint(self) -> str:
        return os.path.join(self.program.home, "daemon.log")

    def owns(self, daemon: Running) -> bool:
        shown = self.runner.run(["sc.exe", "query", NAME])
        return re.search(r":\s+4\s", shown.output) is not None  # SERVICE_RUNNING

    def _command(self) -> list[str]:
        arguments = keeper_arguments(self.program.home, self.program.flags, _HOST)
        return [self.program.python, *arguments]

    def _prepare_folders(self) -> None:
        """Make the folders, with nobody else's rights in them, and tell clients the port."""
        root, home = _root(), self.program.home
        os.makedirs(home, exist_ok=True)
        # Any user may have made the folder before us, with files in it.
        self.runner.must(["icacls", root, "/setowner", _ADMINISTRATORS, "/T", "/Q"])
        self.runner.must(["icacls", root, "/reset", "/T", "/Q"])
        full = [f"{who}:(OI)(CI)F" for who in (_ADMINISTRATORS, _SYSTEM)]
        read = [f"{who}:(OI)(CI)RX" for who in (_USERS, _LOCAL_SERVICE)]
        write = f"{_LOCAL_SERVICE}:(OI)(CI)M"
        self.runner.must(["icacls", root, "/inheritance:r", "/grant:r", *full, *read])
        self.runner.must(["icacls", home, "/inheritance:r", "/grant:r", *full, write])
        place = os.path.join(root, "mailbox.json")
        if not os.path.exists(place) or _is_ours(place):
            settings = self.program.settings()
            content = json.dumps({"port": settings.port, "bind": settings.bind}, indent=2)
            write_file(place, content.encode() + b"\n")

    def _must(self, verb: str, *arguments: str) -> None:
        done = self.runner.run(["sc.exe", verb, NAME, *arguments])
        if done.code:
            raise AutostartError(_sentence(verb, done.code, done.reason))


def _sentence(verb: str, code: int, reason: str) -> str:
    if code == _ACCESS_DENIED:
        return (
            f"'sc.exe {verb}' was refused: run this in a terminal that was opened with 'Run as"
            " administrator'."
        )
    return f"'sc.exe {verb} {NAME}' failed: {reason}."


def _root() -> str:
    return os.path.join(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "ClaudeMailbox")


def _is_ours(place: str) -> bool:
    """Say whether the machine's ``mailbox.json`` has no more than what we write into it."""
    try:
        with open(place, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() <= {"port", "bind"}
