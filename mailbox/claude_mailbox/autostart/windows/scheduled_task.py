"""Windows: the scheduled task at logon, and the Run key where a policy forbids tasks."""

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from claude_mailbox.autostart.base import INSTALLED, NAME, SUMMARY, UNCHANGED, UPDATED
from claude_mailbox.autostart.files import is_same, remove_file, write_file
from claude_mailbox.autostart.runner import Runner
from claude_mailbox.errors import AutostartError

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_RUN_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
# Windows ignores what is longer.
_RUN_KEY_LIMIT = 260
# SCHED_S_TASK_RUNNING; the word for it is translated, the number is not.
_TASK_RUNS = "267009"

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


# Pure


def is_expanded(text: str, environment: Mapping[str, str]) -> bool:
    """Say whether Windows would replace a part of *text* by a variable; there is no escape."""
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
    # For a start that fails, say when the disk of the profile comes late.
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


# I/O


class Task:
    """The task in the Task Scheduler.

    Args:
        runner: runs the platform's commands.
        definition: path of the file that keeps the definition as we last registered it.
    """

    entry = f"scheduled task '{NAME}'"

    def __init__(self, runner: Runner, definition: str) -> None:
        self._runner = runner
        self._definition = definition

    def exists(self) -> bool:
        return not self._runner.run(["schtasks", "/Query", "/TN", NAME]).code

    def is_running(self) -> bool:
        shown = self._runner.run(["schtasks", "/Query", "/TN", NAME, "/V", "/FO", "CSV", "/NH"])
        return _TASK_RUNS in shown.output

    def write(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Register the task that runs *command*, and return what that changed.

        Raises:
            AutostartError: if the Task Scheduler refuses.
        """
        import subprocess

        for word in command:
            if is_expanded(word, environment):
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
            self._runner.must(create)
        except AutostartError:
            remove_file(self._definition)
            raise
        return UPDATED if is_there else INSTALLED

    def remove(self) -> bool:
        is_there = self.exists()
        if is_there:
            self._runner.must(["schtasks", "/Delete", "/TN", NAME, "/F"])
        remove_file(self._definition)
        return is_there

    def start(self) -> None:
        self._runner.must(["schtasks", "/Run", "/TN", NAME])

    def stop(self) -> None:
        # Fails when it does not run, and that is fine.
        self._runner.run(["schtasks", "/End", "/TN", NAME])

    def _user(self) -> str:
        """Return our security identifier, which no language or domain changes."""
        shown = self._runner.must(["whoami", "/user", "/fo", "csv", "/nh"])
        found = re.search(r"S-1-[\d-]+", shown.output)
        if found is None:
            raise AutostartError(f"'whoami /user' does not tell who you are: {shown.reason}.")
        return found[0]


class RunKey:
    """The value in the user's Run key; it starts the command and cares no further."""

    entry = rf"Run key {_RUN_KEY}\{NAME}"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def exists(self) -> bool:
        return not self._runner.run(["reg", "query", _RUN_KEY, "/v", NAME]).code

    def write(self, command: Sequence[str]) -> str:
        """Set the value so that *command* runs at logon, and return what that changed.

        Raises:
            AutostartError: if the command is too long for the key, or the registry refuses.
        """
        import subprocess

        line = subprocess.list2cmdline(command)
        if len(line) > _RUN_KEY_LIMIT:
            raise AutostartError(
                f"The Run key takes commands of at most {_RUN_KEY_LIMIT} characters, and this has"
                f" {len(line)}: put the flags into mailbox.json, or install Python in a folder"
                " with a shorter path."
            )
        shown = self._runner.run(["reg", "query", _RUN_KEY, "/v", NAME])
        if not shown.code and shown.output.strip().endswith(f" {line}"):
            return UNCHANGED
        add = ["reg", "add", _RUN_KEY, "/v", NAME, "/t", "REG_SZ", "/d", line, "/f"]
        self._runner.must(add)
        return INSTALLED if shown.code else UPDATED

    def remove(self) -> bool:
        if not self.exists():
            return False
        self._runner.must(["reg", "delete", _RUN_KEY, "/v", NAME, "/f"])
        return True
