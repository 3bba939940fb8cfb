"""Linux: a unit of the systemd user manager.

systemd has its own quoting rules: ``%`` starts a specifier everywhere, ``\\`` and ``"`` are
escaped as in C, and ``$`` starts a variable in ``ExecStart=`` alone.
"""

import os
import re
from collections.abc import Sequence

from claude_mailbox.autostart.base import (
    INSTALLED,
    NAME,
    SUMMARY,
    UNCHANGED,
    UPDATED,
    Manager,
)
from claude_mailbox.autostart.command_runner import NOT_FOUND, CommandResult
from claude_mailbox.autostart.files import is_same, remove_empty_folders, remove_file, write_file
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.program import Program
from claude_mailbox.errors import AutostartError

UNIT = f"{NAME}.service"
_NOTHING_WRITTEN = (
    "Nothing was written. Start the daemon with 'claude-mailbox start', or at every boot with"
    " '@reboot claude-mailbox start' in your crontab (crontab -e)."
)
# systemd refuses these in the path of the program, escaped or not.
_REFUSED_IN_PROGRAM = frozenset("\"'\\")
# The first version of systemd that can wait longer after each failure.
_BACK_OFF_SINCE = 254


def quoted(text: str) -> str:
    """Return *text* as one quoted word of a unit file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def exec_line(command: Sequence[str]) -> str:
    """Return the value of ``ExecStart=`` that runs exactly *command*."""
    if set(command[0]) & _REFUSED_IN_PROGRAM:
        command = ["/bin/sh", "-c", 'exec "$0" "$@"', *command]
    line = " ".join(quoted(word) for word in command)
    # The colon switches variables off. Versions before 244 do not know it, so it is used only
    # where there is a dollar sign. Doubling the sign would not work in the path of the program.
    return f":{line}" if "$" in line else line


def unit_text(program: Program, version: int) -> str:
    """Return the unit file for systemd of *version*."""
    lines = [
        "# Written by 'claude-mailbox install-autostart', removed by 'uninstall-autostart'.",
        "[Unit]",
        f"Description={SUMMARY}",
    ]
    if version >= _BACK_OFF_SINCE:
        lines += ["StartLimitIntervalSec=0"]
        back_off = ["RestartSteps=8", "RestartMaxDelaySec=60"]
    else:
        # Without back-off: try again every second, and give up after 20 failures.
        lines += ["StartLimitIntervalSec=300", "StartLimitBurst=20"]
        back_off = []
    lines += ["", "[Service]", "Type=exec", f"ExecStart={exec_line(_command(program))}"]
    lines += [
        f"Environment={quoted(f'{name}={value}')}" for name, value in program.environment.items()
    ]
    lines += ["Restart=on-failure", "RestartSec=1", *back_off, "TimeoutStopSec=20", "UMask=0077"]
    lines += ["", "[Install]", "WantedBy=default.target", ""]
    return "\n".join(lines)


def _command(program: Program) -> list[str]:
    return [program.python, *program.arguments]


def _properties(output: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in output.splitlines())
    return {name: value for name, _, value in pairs}


class Systemd(Manager):
    """A unit in ``~/.config/systemd/user``."""

    _version = 0
    _unit_path = ""  # the folders that the manager searches, separated by blanks

    def check_supported(self, service: bool) -> None:
        if service:
            raise AutostartError("--service is for Windows only: leave it out.")
        found = self._systemctl("show", "--property=Version", "--property=UnitPath")
        if found.code == NOT_FOUND:
            raise AutostartError(
                f"This machine has no systemd ({found.reason}). {_NOTHING_WRITTEN}"
            )
        properties = _properties(found.output)
        version = re.search(r"\d+", properties.get("Version", ""))
        if found.code or version is None:
            raise AutostartError(
                f"No systemd user manager answers ({found.reason}). {_NOTHING_WRITTEN}"
            )
        self._version = int(version[0])
        self._unit_path = properties.get("UnitPath", "")

    def write_entry(self, service: bool) -> str:
        path = self._path()
        text = unit_text(self.program, self._version)
        if is_same(path, text.encode()) and self._state("is-enabled") == "enabled":
            return UNCHANGED
        state = UPDATED if os.path.exists(path) else INSTALLED
        write_file(path, text.encode())
        try:
            self._run_checked("daemon-reload")
            self._run_checked("enable", UNIT)
        except AutostartError:
            if state == INSTALLED:
                self.remove_entry()
            raise
        return state

    def remove_entry(self) -> bool:
        if not self.is_installed():
            return False
        # Without a user manager nothing runs under it, and removing the files is enough.
        has_manager = not self._systemctl("show", "--property=Version").code
        if has_manager:
            self._run_checked("disable", "--now", UNIT)
        for folder in self._folders():
            wants = os.path.join(folder, "default.target.wants")
            remove_file(os.path.join(wants, UNIT))
            remove_file(os.path.join(folder, UNIT))
            remove_empty_folders(wants, folder, os.path.dirname(folder))
        if has_manager:
            self._run_checked("daemon-reload")
            self._systemctl("reset-failed", UNIT)  # fails if there was no failure
        return True

    def is_installed(self) -> bool:
        return any(os.path.lexists(os.path.join(folder, UNIT)) for folder in self._folders())

    def describe(self) -> str:
        return f"systemd user unit {self._path()}"

    def start(self) -> None:
        # After too many failures systemd refuses to start the unit until this is called.
        self._systemctl("reset-failed", UNIT)
        self._run_checked("start", UNIT)

    def stop(self) -> None:
        self._run_checked("stop", UNIT)

    def restart(self) -> None:
        self._systemctl("reset-failed", UNIT)
        self._run_checked("restart", UNIT)

    def log_hint(self) -> str:
        return f"journalctl --user -u {NAME}"

    def runs(self, daemon: RunningDaemon) -> bool:
        shown = self._systemctl("show", "--property=MainPID", UNIT)
        return _properties(shown.output).get("MainPID") == str(daemon.pid)

    def has_failed(self) -> bool:
        shown = self._systemctl("show", "--property=Result", UNIT)
        return _properties(shown.output).get("Result", "success") != "success"

    def notes(self) -> list[str]:
        user = str(os.getuid())
        shown = self.runner.run(["loginctl", "show-user", user, "--property=Linger"])
        if _properties(shown.output).get("Linger") != "no":
            return []
        return ["The daemon ends when you log out: 'loginctl enable-linger' keeps it running."]

    def _folders(self) -> list[str]:
        """Return the folders that may have user units, that of ``XDG_CONFIG_HOME`` first."""
        home = os.path.expanduser("~")
        parents = [os.environ.get("XDG_CONFIG_HOME", ""), os.path.join(home, ".config")]
        folders = [os.path.join(parent, "systemd", "user") for parent in parents if parent]
        return list(dict.fromkeys(folders))

    def _path(self) -> str:
        """Return the path of the unit: where it is, else where the manager searches for it.

        The user manager may not have the ``XDG_CONFIG_HOME`` of this shell.
        """
        folders = self._folders()
        existing = [folder for folder in folders if os.path.exists(os.path.join(folder, UNIT))]
        searched = [folder for folder in folders if folder in self._unit_path]
        return os.path.join([*existing, *searched, *folders][0], UNIT)

    def _state(self, verb: str) -> str:
        return self._systemctl(verb, UNIT).output.strip()

    def _systemctl(self, *arguments: str) -> CommandResult:
        return self.runner.run(["systemctl", "--user", *arguments], _runtime_folder())

    def _run_checked(self, *arguments: str) -> None:
        self.runner.run_checked(["systemctl", "--user", *arguments], _runtime_folder())


def _runtime_folder() -> dict[str, str]:
    """Return the variable that systemctl needs; `su` and cron do not set it."""
    default = f"/run/user/{os.getuid()}"
    if not os.environ.get("XDG_RUNTIME_DIR") and os.path.isdir(default):
        return {"XDG_RUNTIME_DIR": default}
    return {}
