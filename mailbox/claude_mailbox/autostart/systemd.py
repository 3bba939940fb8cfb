"""Linux: a unit of the systemd user manager.

The unit file is written by hand because systemd's quoting is its own: ``%`` starts a specifier
everywhere, ``\\`` and ``"`` are escaped as in C, and ``$`` names a variable in ``ExecStart=`` alone.
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
from claude_mailbox.autostart.files import is_same, remove_empty, remove_file, write_file
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import NOT_FOUND, Done
from claude_mailbox.errors import AutostartError

UNIT = f"{NAME}.service"
_INSTEAD = (
    "Nothing was written. Start the daemon with 'claude-mailbox start', or at every boot with"
    " '@reboot claude-mailbox start' in your crontab (crontab -e)."
)
# systemd refuses a program with one of these in its path, however they are escaped.
_NEVER_IN_PROGRAM = frozenset("\"'\\")
# From here on systemd can wait longer after each failure in a row.
_BACK_OFF_SINCE = 254


# Pure


def quoted(text: str) -> str:
    """Return *text* as one quoted word of a unit file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def exec_line(command: Sequence[str]) -> str:
    """Return the value of ``ExecStart=`` that runs exactly *command*."""
    if set(command[0]) & _NEVER_IN_PROGRAM:
        command = ["/bin/sh", "-c", 'exec "$0" "$@"', *command]
    line = " ".join(quoted(word) for word in command)
    # The colon switches variables off. Older versions than 244 do not know it, so it is there
    # only when a dollar is; doubling the dollar would not do in the path of the program.
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
        pace = ["RestartSteps=8", "RestartMaxDelaySec=60"]
    else:
        # No back-off to be had: a steady pace, and an end when it is hopeless.
        lines += ["StartLimitIntervalSec=300", "StartLimitBurst=20"]
        pace = []
    lines += ["", "[Service]", "Type=exec", f"ExecStart={exec_line(_command(program))}"]
    lines += [
        f"Environment={quoted(f'{name}={value}')}" for name, value in program.environment.items()
    ]
    lines += ["Restart=on-failure", "RestartSec=1", *pace, "TimeoutStopSec=20", "UMask=0077"]
    lines += ["", "[Install]", "WantedBy=default.target", ""]
    return "\n".join(lines)


def _command(program: Program) -> list[str]:
    return [program.python, *program.arguments]


def _properties(output: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in output.splitlines())
    return {name: value for name, _, value in pairs}


# I/O


class Systemd(Manager):
    """A unit in ``~/.config/systemd/user``."""

    _version = 0
    _searched = ""  # the manager's unit path: folders with blanks between them

    def require(self, service: bool) -> None:
        if service:
            raise AutostartError("--service is for Windows only: leave it out.")
        found = self._systemctl("show", "--property=Version", "--property=UnitPath")
        if found.code == NOT_FOUND:
            raise AutostartError(f"This machine has no systemd ({found.reason}). {_INSTEAD}")
        properties = _properties(found.output)
        version = re.search(r"\d+", properties.get("Version", ""))
        if found.code or version is None:
            raise AutostartError(f"No systemd user manager answers ({found.reason}). {_INSTEAD}")
        self._version = int(version[0])
        self._searched = properties.get("UnitPath", "")

    def write(self, service: bool) -> str:
        path = self._path()
        text = unit_text(self.program, self._version)
        if is_same(path, text.encode()) and self._state("is-enabled") == "enabled":
            return UNCHANGED
        state = UPDATED if os.path.exists(path) else INSTALLED
        write_file(path, text.encode())
        try:
            self._must("daemon-reload")
            self._must("enable", UNIT)
        except AutostartError:
            if state == INSTALLED:
                self.remove()
            raise
        return state

    def remove(self) -> bool:
        if not self.installed():
            return False
        # Without a user manager nothing runs under it either: the files are all there is.
        has_manager = not self._systemctl("show", "--property=Version").code
        if has_manager:
            self._must("disable", "--now", UNIT)
        for folder in self._folders():
            wants = os.path.join(folder, "default.target.wants")
            remove_file(os.path.join(wants, UNIT))
            remove_file(os.path.join(folder, UNIT))
            remove_empty(wants, folder, os.path.dirname(folder))
        if has_manager:
            self._must("daemon-reload")
            self._systemctl("reset-failed", UNIT)  # fails when there is nothing to forget
        return True

    def installed(self) -> bool:
        return any(os.path.lexists(os.path.join(folder, UNIT)) for folder in self._folders())

    def describe(self) -> str:
        return f"systemd user unit {self._path()}"

    def start(self) -> None:
        # It may rest after too many failures in a row; being told is a new chance.
        self._systemctl("reset-failed", UNIT)
        self._must("start", UNIT)

    def stop(self) -> None:
        self._must("stop", UNIT)

    def restart(self) -> None:
        self._systemctl("reset-failed", UNIT)
        self._must("restart", UNIT)

    def log_hint(self) -> str:
        return f"journalctl --user -u {NAME}"

    def owns(self, daemon: Running) -> bool:
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
        return ["It ends when you log out: 'loginctl enable-linger' keeps it running."]

    def _folders(self) -> list[str]:
        """Return the folders of user units, the one that this shell would choose first."""
        home = os.path.expanduser("~")
        places = [os.environ.get("XDG_CONFIG_HOME", ""), os.path.join(home, ".config")]
        folders = [os.path.join(place, "systemd", "user") for place in places if place]
        return list(dict.fromkeys(folders))

    def _path(self) -> str:
        """Return the unit's path: where it is, else where the manager looks for it.

        The user manager need not know the ``XDG_CONFIG_HOME`` of this shell.
        """
        folders = self._folders()
        there = [place for place in folders if os.path.exists(os.path.join(place, UNIT))]
        searched = [place for place in folders if place in self._searched]
        return os.path.join([*there, *searched, *folders][0], UNIT)

    def _state(self, verb: str) -> str:
        return self._systemctl(verb, UNIT).output.strip()

    def _systemctl(self, *arguments: str) -> Done:
        return self.runner.run(["systemctl", "--user", *arguments], _bus())

    def _must(self, *arguments: str) -> None:
        self.runner.must(["systemctl", "--user", *arguments], _bus())


def _bus() -> dict[str, str]:
    """Return what systemctl needs to find the user manager where `su` and cron did not say it."""
    usual = f"/run/user/{os.getuid()}"
    if not os.environ.get("XDG_RUNTIME_DIR") and os.path.isdir(usual):
        return {"XDG_RUNTIME_DIR": usual}
    return {}
