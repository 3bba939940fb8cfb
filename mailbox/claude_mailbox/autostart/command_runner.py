"""Runs the platform's commands. Tests replace this class, and nothing else, by a fake."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claude_mailbox.errors import AutostartError

_COMMAND_SECONDS = 60
NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit status of a command, and what it wrote to standard output and standard error."""

    code: int
    output: str = ""
    errors: str = ""

    @property
    def reason(self) -> str:
        """What the command wrote about its failure, on one line without a full stop."""
        text = " ".join((self.errors.strip() or self.output.strip()).split())
        return text.rstrip(".") or f"exit status {self.code}"


class CommandRunner:
    """Runs commands of this machine, without a shell."""

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        """Run *command* to its end; a program that is not installed has the status 127.

        Args:
            command: program and arguments.
            environment: variables to set in addition to ours.
        """
        import subprocess

        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                # Console programs of Windows use the OEM code page.
                encoding="oem" if sys.platform == "win32" else "utf-8",
                errors="replace",
                env={**os.environ, **(environment or {})},
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            return CommandResult(NOT_FOUND, errors=f"{command[0]} is not installed")
        except OSError as error:
            return CommandResult(NOT_FOUND, errors=f"{command[0]}: {error.strerror}")
        except subprocess.TimeoutExpired:
            return CommandResult(-1, errors=f"no answer within {_COMMAND_SECONDS} seconds")
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def run_checked(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        """Run *command*, which must succeed.

        Raises:
            AutostartError: if its exit status is not 0; the sentence has what it wrote about it.
        """
        result = self.run(command, environment)
        if result.code:
            shown = " ".join(command[:3])
            raise AutostartError(f"'{shown}' failed: {result.reason}.")
        return result

    def spawn(self, command: Sequence[str]) -> None:
        """Start *command* in the background, without a console, and leave it running.

        Raises:
            AutostartError: if it cannot be started.
        """
        import subprocess

        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        flags |= getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                creationflags=flags,
            )
        except OSError as error:
            raise AutostartError(f"Cannot start {command[0]}: {error.strerror}.") from None
        # Without this, Popen would warn that the process still runs.
        process.returncode = 0
