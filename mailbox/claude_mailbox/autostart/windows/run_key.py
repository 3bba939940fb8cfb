"""The value in the user's Run key, for users whom a policy forbids scheduled tasks."""

from collections.abc import Sequence

from claude_mailbox.autostart.base import INSTALLED, NAME, UNCHANGED, UPDATED
from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.errors import AutostartError

_RUN_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
# Windows ignores longer commands.
_LENGTH_LIMIT = 260


class RunKey:
    """Our value in the Run key. It starts a command at logon, and does nothing else."""

    entry = rf"Run key {_RUN_KEY}\{NAME}"

    def __init__(self, runner: CommandRunner) -> None:
        self._runner = runner

    def exists(self) -> bool:
        return not self._runner.run(["reg", "query", _RUN_KEY, "/v", NAME]).code

    def write(self, command: Sequence[str]) -> str:
        """Set the value so that *command* runs at logon, and return what changed.

        Raises:
            AutostartError: if the command is too long for the key, or the registry refuses.
        """
        import subprocess

        line = subprocess.list2cmdline(command)
        if len(line) > _LENGTH_LIMIT:
            raise AutostartError(
                f"The Run key takes commands of at most {_LENGTH_LIMIT} characters, and this has"
                f" {len(line)}: put the flags into mailbox.json, or install Python in a folder"
                " with a shorter path."
            )
        shown = self._runner.run(["reg", "query", _RUN_KEY, "/v", NAME])
        if not shown.code and shown.output.strip().endswith(f" {line}"):
            return UNCHANGED
        add = ["reg", "add", _RUN_KEY, "/v", NAME, "/t", "REG_SZ", "/d", line, "/f"]
        self._runner.run_checked(add)
        return INSTALLED if shown.code else UPDATED

    def remove(self) -> bool:
        if not self.exists():
            return False
        self._runner.run_checked(["reg", "delete", _RUN_KEY, "/v", NAME, "/f"])
        return True
