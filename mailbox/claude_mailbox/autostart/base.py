"""The interface that every platform's autostart has, and the order of things behind it."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.purge import empty_home
from claude_mailbox.autostart.resident import Resident, Running, check_port
from claude_mailbox.autostart.runner import Runner
from claude_mailbox.errors import ConfigError

# Everything that the platforms keep for us goes by this name.
NAME = "claude-mailbox"
SUMMARY = "claude-mailbox: mail between coding-agent sessions"

INSTALLED = "installed"
UPDATED = "updated"
UNCHANGED = "unchanged"
REMOVED = "removed"
ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an install or uninstall did.

    Attributes:
        state: ``installed``, ``updated``, ``unchanged``, ``removed`` or ``absent``.
        entry: the platform's entry, in words, with its path where it has one.
        logs: how to read the daemon's log.
        daemon: the daemon that runs now.
        notes: what else the user should know.
        deleted: files that a purge deleted.
        left: files that a purge found, did not know and left.
    """

    state: str
    entry: str
    logs: str = ""
    daemon: Running | None = None
    notes: Sequence[str] = field(default=())
    deleted: Sequence[str] = field(default=())
    left: Sequence[str] = field(default=())


class Manager(ABC):
    """Lets the platform start the daemon at login, restart it when it fails, and stop it.

    Args:
        program: what to start.
        runner: runs the platform's commands.
        resident: the daemon of the program's home folder.
    """

    def __init__(self, program: Program, runner: Runner, resident: Resident) -> None:
        self.program = program
        self.runner = runner
        self.resident = resident

    # What each platform does in its own way

    @abstractmethod
    def require(self, service: bool) -> None:
        """Make sure that the platform can do it, before anything is written.

        Raises:
            AutostartError: if it cannot; the sentence says what to do instead.
        """

    @abstractmethod
    def write(self, service: bool) -> str:
        """Write and register the entry, start nothing, and return what that changed."""

    @abstractmethod
    def remove(self) -> bool:
        """Stop the daemon and take every trace of the entry away; False if there was none."""

    @abstractmethod
    def installed(self) -> bool:
        """Say whether the entry is there."""

    @abstractmethod
    def describe(self) -> str:
        """Return the entry in words, with its path where it has one."""

    @abstractmethod
    def start(self) -> None:
        """Let the platform start the daemon."""

    @abstractmethod
    def stop(self) -> None:
        """Let the platform stop the daemon; it stays registered for the next login."""

    @abstractmethod
    def log_hint(self) -> str:
        """Return how to read the daemon's log."""

    def owns(self, daemon: Running) -> bool:
        """Say whether *daemon* was started by the platform and not by hand."""
        return False

    def has_failed(self) -> bool:
        """Say whether the daemon ended with an error since the platform was told to start it."""
        return False

    def notes(self) -> list[str]:
        """Return what the user should know after an install."""
        return []

    # What is the same everywhere

    def restart(self) -> None:
        """Stop the daemon, wait until it has left, and let the platform start it."""
        found = self.resident.running()
        self.stop()
        if found is not None:
            self.resident.await_end(found)
        self.start()

    def install(self, service: bool = False) -> Outcome:
        """Install or update the entry, and see to it that the daemon runs under it.

        A daemon of the same home folder that was started by hand is handed over.

        Raises:
            ConfigError: if a flag or the configuration is wrong.
            AutostartError: if the platform cannot or refuses, or the daemon is not ready in time.
            StartupError: if somebody else holds the port.
        """
        settings = self.program.settings()
        self.require(service)
        found = self.resident.running()
        check_port(settings.bind, settings.port, found)
        is_ours = found is not None and self.owns(found)
        state = self.write(service)
        try:
            if found is not None and not is_ours:
                self.resident.stop()
                found = None
            if found is None:
                self.start()
            elif state == UPDATED:
                self.restart()
        except BaseException:
            if state == INSTALLED:
                self.remove()
            raise
        return Outcome(
            state=state,
            entry=self.describe(),
            logs=self.log_hint(),
            daemon=self.resident.await_ready(self.log_hint(), self.has_failed),
            notes=[*self.program.notes(), *self.notes()],
        )

    def uninstall(self, purge: bool = False) -> Outcome:
        """Remove the entry, and with *purge* the home folder with its database too.

        Raises:
            AutostartError: if the platform refuses, or the daemon does not end.
        """
        entry = self.describe()
        databases = self._databases() if purge else []
        state = REMOVED if self.remove() else ABSENT
        if not purge:
            return Outcome(state=state, entry=entry)
        self.resident.stop()
        deleted, left = empty_home(self.program.home)
        # One outside of the home folder was put there by the user, who may share the folder.
        left += [path for path in databases if os.path.exists(path) and path not in left]
        return Outcome(state=state, entry=entry, deleted=deleted, left=left)

    def _databases(self) -> list[str]:
        """Return where mail is kept, as the running daemon and the configuration say."""
        places = [self.resident.database()]
        # A broken configuration must not keep anybody from leaving.
        with contextlib.suppress(ConfigError):
            places.append(self.program.settings().db_path)
        return sorted({os.path.abspath(place) for place in places if place})
