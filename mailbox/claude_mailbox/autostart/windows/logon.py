"""Windows: what starts the daemon at logon, for one user and without an administrator."""

import os

from claude_mailbox.autostart.base import Manager, Outcome
from claude_mailbox.autostart.keeper import keeper_arguments
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.resident import Resident, Running
from claude_mailbox.autostart.runner import Runner
from claude_mailbox.autostart.service import WindowsService
from claude_mailbox.autostart.task import RunKey, Task
from claude_mailbox.errors import AutostartError

_KEEPER = "claude_mailbox.autostart.keeper"


def windowless(python: str) -> str:
    """Return the interpreter beside *python* that opens no console window, if it is there."""
    folder, name = python[: -len("python.exe")], python[-len("python.exe") :]
    candidate = f"{folder}pythonw.exe"
    return candidate if name.lower() == "python.exe" and os.path.isfile(candidate) else python


class Windows(Manager):
    """The scheduled task, or the Run key where tasks are forbidden."""

    def __init__(self, program: Program, runner: Runner, resident: Resident) -> None:
        super().__init__(program, runner, resident)
        self._task = Task(runner, os.path.join(program.home, "autostart.xml"))
        self._run_key = RunKey(runner)
        self._refusal = ""

    def install(self, service: bool = False) -> Outcome:
        if not service:
            return super().install()
        machine_wide = WindowsService.of(self.program, self.runner)
        machine_wide.require(service=True)
        # One daemon a port: this user's makes room for everybody's.
        self.remove()
        self.resident.stop()
        return machine_wide.install(service=True)

    def require(self, service: bool) -> None:
        if "PYTHONPATH" in self.program.environment:
            raise AutostartError(
                "claude-mailbox is found through PYTHONPATH, which no task has: install it first,"
                " with 'uv tool install' or 'pipx install' and the folder's path."
            )

    def write(self, service: bool) -> str:
        command = self._command()
        try:
            state = self._task.write(command, os.environ)
        except AutostartError as refusal:
            self._refusal = str(refusal)
            return self._run_key.write(command)
        self._run_key.remove()
        return state

    def remove(self) -> bool:
        if not self.installed():
            return False
        self.stop()
        was_task, was_key = self._task.remove(), self._run_key.remove()
        return was_task or was_key

    def installed(self) -> bool:
        return self._task.exists() or self._run_key.exists()

    def describe(self) -> str:
        return self._run_key.entry if self._is_by_key() else self._task.entry

    def start(self) -> None:
        if self._is_by_key():
            self.runner.spawn(self._command())
        else:
            self._task.start()

    def stop(self) -> None:
        # The keeper ends with the daemon: its exit status says that it was wanted.
        self.resident.stop()
        self._task.stop()

    def log_hint(self) -> str:
        return os.path.join(self.program.home, "daemon.log")

    def owns(self, daemon: Running) -> bool:
        return self._is_by_key() or self._task.is_running()

    def notes(self) -> list[str]:
        notes = []
        if self._refusal:
            notes.append(f"The Task Scheduler refused, so the Run key does it: {self._refusal}")
        if windowless(self.program.python) == self.program.python:
            notes.append("There is no pythonw.exe beside python.exe: a console window stays open.")
        return notes

    def _is_by_key(self) -> bool:
        return not self._task.exists() and self._run_key.exists()

    def _command(self) -> list[str]:
        home = self.program.environment.get("CLAUDE_MAILBOX_HOME")
        arguments = keeper_arguments(home, self.program.flags, _KEEPER)
        return [windowless(self.program.python), *arguments]
