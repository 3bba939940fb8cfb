"""The daemon as a Windows service, one for all users of the machine.

It runs as LocalService and not as LocalSystem: a program that a user can change must not have the
rights of the system. LocalService cannot read the profiles of users, so Python must be installed
for all users.
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
from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.autostart.files import remove_empty_folders, remove_file, write_file
from claude_mailbox.autostart.home_daemon import HomeDaemon, RunningDaemon
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.windows.scheduled_task import has_variable
from claude_mailbox.autostart.windows.supervisor import module_arguments
from claude_mailbox.errors import AutostartError

_HOST = "claude_mailbox.autostart.windows.service_host"
_ACCOUNT = r"NT AUTHORITY\LocalService"
# Well-known security identifiers, because Windows translates the names.
_ADMINISTRATORS, _SYSTEM, _USERS, _LOCAL_SERVICE = (
    "*S-1-5-32-544",
    "*S-1-5-18",
    "*S-1-5-32-545",
    "*S-1-5-19",
)
_ELEVATED = "S-1-16-12288"
_ACCESS_DENIED, _NOT_ACTIVE = 5, 1062


def service_exists(runner: CommandRunner) -> bool:
    """Return whether our service is registered."""
    return not runner.run(["sc.exe", "query", NAME]).code


class WindowsService(Manager):
    """The service. All changes to it need an administrator's terminal."""

    @classmethod
    def of(cls, program: Program, runner: CommandRunner) -> "WindowsService":
        """Return the service that runs *program* with its own home folder."""
        home = os.path.join(_root(), "home")
        given = {"dbPath": os.path.join(home, "mailbox.db"), **program.given}
        environment = {"CLAUDE_MAILBOX_HOME": home}
        own = replace(program, home=home, environment=environment, given=given)
        return cls(own, runner, HomeDaemon(home))

    def check_supported(self, service: bool) -> None:
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
        if any(has_variable(word, os.environ) for word in self._command()):
            raise AutostartError("Windows would replace a %NAME% in a path: rename that folder.")

    def write_entry(self, service: bool) -> str:
        import subprocess

        line = subprocess.list2cmdline(self._command())
        if service_exists(self.runner):
            shown = self.runner.run(["sc.exe", "qc", NAME, "8192"])
            if f": {line}\n" in shown.output.replace("\r", ""):
                return UNCHANGED
            self._run_checked("config", "binPath=", line)
            self._prepare_folders()
            return UPDATED
        start = ["start=", "auto", "obj=", _ACCOUNT, "DisplayName=", NAME]
        self._run_checked("create", "binPath=", line, *start)
        try:
            self._run_checked("description", SUMMARY)
            # The last action is repeated; after an hour without failure the first one is next.
            actions = "restart/1000/restart/5000/restart/60000"
            self._run_checked("failure", "reset=", "3600", "actions=", actions)
            # Act on a failure that the service host reports, too, and not only on its crash.
            self._run_checked("failureflag", "1")
            self._prepare_folders()
        except AutostartError:
            self.remove_entry()
            raise
        return INSTALLED

    def remove_entry(self) -> bool:
        if not self.is_installed():
            return False
        self.stop()
        self._run_checked("delete")
        path = os.path.join(_root(), "mailbox.json")
        if _is_ours(path):
            remove_file(path)
        return True

    def uninstall(self, purge: bool = False) -> Outcome:
        outcome = super().uninstall(purge)
        remove_empty_folders(_root())
        return outcome

    def is_installed(self) -> bool:
        return service_exists(self.runner)

    def describe(self) -> str:
        return f"Windows service '{NAME}'"

    def start(self) -> None:
        self._run_checked("start")

    def stop(self) -> None:
        done = self.runner.run(["sc.exe", "stop", NAME])
        if done.code not in (0, _NOT_ACTIVE):
            raise AutostartError(_error_sentence("stop", done.code, done.reason))

    def log_hint(self) -> str:
        return os.path.join(self.program.home, "daemon.log")

    def runs(self, daemon: RunningDaemon) -> bool:
        shown = self.runner.run(["sc.exe", "query", NAME])
        return re.search(r":\s+4\s", shown.output) is not None  # SERVICE_RUNNING

    def _command(self) -> list[str]:
        arguments = module_arguments(self.program.home, self.program.flags, _HOST)
        return [self.program.python, *arguments]

    def _prepare_folders(self) -> None:
        """Make the folders with the least rights, and write the port where clients find it."""
        root, home = _root(), self.program.home
        os.makedirs(home, exist_ok=True)
        # A user may have made the folder before us, with their own files and rights.
        self.runner.run_checked(["icacls", root, "/setowner", _ADMINISTRATORS, "/T", "/Q"])
        self.runner.run_checked(["icacls", root, "/reset", "/T", "/Q"])
        full = [f"{who}:(OI)(CI)F" for who in (_ADMINISTRATORS, _SYSTEM)]
        read = [f"{who}:(OI)(CI)RX" for who in (_USERS, _LOCAL_SERVICE)]
        write = f"{_LOCAL_SERVICE}:(OI)(CI)M"
        self.runner.run_checked(["icacls", root, "/inheritance:r", "/grant:r", *full, *read])
        self.runner.run_checked(["icacls", home, "/inheritance:r", "/grant:r", *full, write])
        path = os.path.join(root, "mailbox.json")
        if not os.path.exists(path) or _is_ours(path):
            settings = self.program.settings()
            content = json.dumps({"port": settings.port, "bind": settings.bind}, indent=2)
            write_file(path, content.encode() + b"\n")

    def _run_checked(self, verb: str, *arguments: str) -> None:
        done = self.runner.run(["sc.exe", verb, NAME, *arguments])
        if done.code:
            raise AutostartError(_error_sentence(verb, done.code, done.reason))


def _error_sentence(verb: str, code: int, reason: str) -> str:
    if code == _ACCESS_DENIED:
        return (
            f"'sc.exe {verb}' was refused: run this in a terminal that was opened with 'Run as"
            " administrator'."
        )
    return f"'sc.exe {verb} {NAME}' failed: {reason}."


def _root() -> str:
    return os.path.join(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "ClaudeMailbox")


def _is_ours(path: str) -> bool:
    """Return whether the machine's ``mailbox.json`` has no other keys than those we write."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() <= {"port", "bind"}
