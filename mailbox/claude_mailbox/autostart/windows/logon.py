"""Autostart at logon, for one user and without an administrator: a task, or the Run key."""

import os

from claude_mailbox import isolation
from claude_mailbox.autostart.base import Manager, Outcome
from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.autostart.home_daemon import HomeDaemon, RunningDaemon
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.windows.run_key import RunKey
from claude_mailbox.autostart.windows.scheduled_task import ScheduledTask
from claude_mailbox.autostart.windows.service import WindowsService
from claude_mailbox.autostart.windows.supervisor import module_arguments
from claude_mailbox.errors import AutostartError

_SUPERVISOR = "claude_mailbox.autostart.windows.supervisor"


def windowless(python: str) -> str:
    """Return the interpreter beside *python* that opens no console window, if there is one."""
    folder, name = python[: -len("python.exe")], python[-len("python.exe") :]
    candidate = f"{folder}pythonw.exe"
    return candidate if name.lower() == "python.exe" and os.path.isfile(candidate) else python


class WindowsLogon(Manager):
    """The scheduled task, or the Run key if tasks are forbidden."""

    def __init__(self, program: Program, runner: CommandRunner, home_daemon: HomeDaemon) -> None:
        super().__init__(program, runner, home_daemon)
        self._task = ScheduledTask(runner, os.path.join(program.home, "autostart.xml"))
        self._run_key = RunKey(runner)
        self._refusal = ""

    def install(self, service: bool = False) -> Outcome:
        if not service:
            return super().install()
        machine_wide = WindowsService.of(self.program, self.runner)
        machine_wide.check_supported(service=True)
        # Both would listen on the same port, so the user's own daemon goes.
        self.remove_entry()
        self.home_daemon.stop()
        return machine_wide.install(service=True)

    def check_supported(self, service: bool) -> None:
        if isolation.is_found_by_variable():
            raise AutostartError(
                "claude-mailbox is found through PYTHONPATH, which a task cannot set: install it"
                " first, with 'uv tool install' or 'pipx install' and the folder's path."
            )

    def write_entry(self, service: bool) -> str:
        command = self._command()
        try:
            state = self._task.write(command, os.environ)
        except AutostartError as refusal:
            self._refusal = str(refusal)
            return self._run_key.write(command)
        self._run_key.remove()
        return state

    def remove_entry(self) -> bool:
        if not self.is_installed():
            return False
        self.stop()
        was_task, was_key = self._task.remove(), self._run_key.remove()
        return was_task or was_key

    def is_installed(self) -> bool:
        return self._task.exists() or self._run_key.exists()

    def describe(self) -> str:
        return self._run_key.entry if self._uses_run_key() else self._task.entry

    def start(self) -> None:
        if self._uses_run_key():
            self.runner.spawn(self._command())
        else:
            self._task.start()

    def stop(self) -> None:
        # The supervisor ends with the daemon, whose exit status says that it was on purpose.
        self.home_daemon.stop()
        self._task.stop()

    def log_hint(self) -> str:
        return os.path.join(self.program.home, "daemon.log")

    def runs(self, daemon: RunningDaemon) -> bool:
        return self._uses_run_key() or self._task.is_running()

    def notes(self) -> list[str]:
        notes = []
        if self._refusal:
            notes.append(f"The Run key is used, as the Task Scheduler refused: {self._refusal}")
        if windowless(self.program.python) == self.program.python:
            notes.append("There is no pythonw.exe beside python.exe: a console window stays open.")
        return notes

    def _uses_run_key(self) -> bool:
        return not self._task.exists() and self._run_key.exists()

    def _command(self) -> list[str]:
        home = self.program.environment.get("CLAUDE_MAILBOX_HOME")
        arguments = module_arguments(home, self.program.flags, _SUPERVISOR)
        return [windowless(self.program.python), *arguments]
