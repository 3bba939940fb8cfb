"""The one place that runs a platform's commands, so that tests can stand in for the platform."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claude_mailbox.errors import AutostartError

_COMMAND_SECONDS = 60
NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended: its exit status, what it printed, and what it complained about."""

    code: int
    output: str = ""
    complaint: str = ""

    @property
    def reason(self) -> str:
        """Its own last words, on one line and without a final full stop."""
        words = " ".join((self.complaint.strip() or self.output.strip()).split())
        return words.rstrip(".") or f"exit status {self.code}"


class Runner:
    """Runs commands of this machine."""

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
        """Run *command* to its end; a missing program yields status 127.

        Args:
            command: program and arguments; no shell is involved.
            environment: variables to set for it on top of ours.
        """
        import subprocess

        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                # Console programs of Windows speak its OEM code page.
                encoding="oem" if sys.platform == "win32" else "utf-8",
                errors="replace",
                env={**os.environ, **(environment or {})},
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            return Done(NOT_FOUND, complaint=f"{command[0]} is not installed")
        except OSError as error:
            return Done(NOT_FOUND, complaint=f"{command[0]}: {error.strerror}")
        except subprocess.TimeoutExpired:
            return Done(-1, complaint=f"no answer within {_COMMAND_SECONDS} seconds")
        return Done(done.returncode, done.stdout, done.stderr)

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
        # It is on its own from here on, and nobody is to be warned that it still runs.
        process.returncode = 0

    def must(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
        """Run *command* and return how it ended.

        Raises:
            AutostartError: if its exit status is not 0; the sentence has its own last words.
        """
        done = self.run(command, environment)
        if done.code:
            shown = " ".join(command[:3])
            raise AutostartError(f"'{shown}' failed: {done.reason}.")
        return done
