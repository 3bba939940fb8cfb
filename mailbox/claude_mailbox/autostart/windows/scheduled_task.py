"""The scheduled task that starts the daemon at logon."""

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from claude_mailbox.autostart.base import INSTALLED, NAME, SUMMARY, UNCHANGED, UPDATED
from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.autostart.files import is_same, remove_file, write_file
from claude_mailbox.errors import AutostartError

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
# SCHED_S_TASK_RUNNING. Windows translates the word for it, but not the number.
_TASK_RUNNING = "267009"

_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "AllowStartOnDemand": "true",
    "Enabled": "true",
    "Hidden": "false",
    "RunOnlyIfIdle": "false",
    "ExecutionTimeLimit": "PT0S",
    "Priority": "5",
}


def has_variable(text: str, environment: Mapping[str, str]) -> bool:
    """Return whether Windows would replace a part of *text*, for which it knows no escape."""
    known = {name.upper() for name in environment}
    names = re.findall(r"(?=%([^%]+)%)", text)
    return any(name.upper() in known for name in names) or "$(Arg" in text


def task_xml(user: str, command: str, arguments: str) -> bytes:
    """Return the definition of the task in UTF-16, as schtasks wants it.

    Args:
        user: security identifier of the user at whose logon it runs.
        command: program to run.
        arguments: its arguments, quoted.
    """
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    _add(_add(task, "RegistrationInfo"), "Description", SUMMARY)
    trigger = _add(_add(task, "Triggers"), "LogonTrigger")
    _add(trigger, "Enabled", "true")
    _add(trigger, "UserId", user)
    principal = _add(_add(task, "Principals"), "Principal")
    principal.set("id", "Author")
    _add(principal, "UserId", user)
    _add(principal, "LogonType", "InteractiveToken")
    _add(principal, "RunLevel", "LeastPrivilege")
    settings = _add(task, "Settings")
    for name, value in _SETTINGS.items():
        _add(settings, name, value)
    # A start can fail, for example if the disk of the profile is not there yet.
    retry = _add(settings, "RestartOnFailure")
    _add(retry, "Interval", "PT1M")
    _add(retry, "Count", "255")
    actions = _add(task, "Actions")
    actions.set("Context", "Author")
    action = _add(actions, "Exec")
    _add(action, "Command", command)
    _add(action, "Arguments", arguments)
    ElementTree.indent(task)
    return b"\xff\xfe" + (
        '<?xml version="1.0" encoding="UTF-16"?>\n'
        + ElementTree.tostring(task, encoding="unicode")
        + "\n"
    ).encode("utf-16-le")


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = text
    return child


class ScheduledTask:
    """The task in the Task Scheduler.

    Args:
        runner: runs the platform's commands.
        definition: path of a file with the definition that we registered last.
    """

    entry = f"scheduled task '{NAME}'"

    def __init__(self, runner: CommandRunner, definition: str) -> None:
        self._runner = runner
        self._definition = definition

    def exists(self) -> bool:
        return not self._runner.run(["schtasks", "/Query", "/TN", NAME]).code

    def is_running(self) -> bool:
        shown = self._runner.run(["schtasks", "/Query", "/TN", NAME, "/V", "/FO", "CSV", "/NH"])
        return _TASK_RUNNING in shown.output

    def write(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Register the task so that *command* runs at logon, and return what changed.

        Raises:
            AutostartError: if the Task Scheduler refuses.
        """
        import subprocess

        for word in command:
            if has_variable(word, environment):
                raise AutostartError(
                    f"Windows would replace the %NAME% or $(Arg) in {word}: rename that folder."
                )
        arguments = subprocess.list2cmdline(command[1:])
        content = task_xml(self._user(), command[0], arguments)
        is_there = self.exists()
        if is_there and is_same(self._definition, content):
            return UNCHANGED
        write_file(self._definition, content)
        create = ["schtasks", "/Create", "/TN", NAME, "/XML", self._definition, "/F"]
        try:
            self._runner.run_checked(create)
        except AutostartError:
            remove_file(self._definition)
            raise
        return UPDATED if is_there else INSTALLED

    def remove(self) -> bool:
        is_there = self.exists()
        if is_there:
            self._runner.run_checked(["schtasks", "/Delete", "/TN", NAME, "/F"])
        remove_file(self._definition)
        return is_there

    def start(self) -> None:
        self._runner.run_checked(["schtasks", "/Run", "/TN", NAME])

    def stop(self) -> None:
        # This fails if the task does not run, which does not matter.
        self._runner.run(["schtasks", "/End", "/TN", NAME])

    def _user(self) -> str:
        """Return the user's security identifier, which is the same in every language."""
        shown = self._runner.run_checked(["whoami", "/user", "/fo", "csv", "/nh"])
        found = re.search(r"S-1-[\d-]+", shown.output)
        if found is None:
            raise AutostartError(f"'whoami /user' does not say who you are: {shown.reason}.")
        return found[0]
