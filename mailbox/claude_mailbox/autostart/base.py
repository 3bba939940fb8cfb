"""The interface of every platform's autostart, and the steps that are the same everywhere."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.autostart.home_daemon import HomeDaemon, RunningDaemon
from claude_mailbox.autostart.port_check import check_port
from claude_mailbox.autostart.program import Program
from claude_mailbox.autostart.purge import purge_home
from claude_mailbox.errors import ConfigError

# The name of our entry on every platform.
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
        entry: description of the platform's entry, with its path if it has one.
        logs: how to read the daemon's log.
        daemon: the daemon that runs now.
        notes: what else the user should know.
        deleted: files that a purge deleted.
        left: files that a purge left, because they are not ours.
    """

    state: str
    entry: str
    logs: str = ""
    daemon: RunningDaemon | None = None
    notes: Sequence[str] = field(default=())
    deleted: Sequence[str] = field(default=())
    left: Sequence[str] = field(default=())


class Manager(ABC):
    """Has the platform start the daemon at login, restart it when it fails, and stop it.

    Args:
        program: what to start.
        runner: runs the platform's commands.
        home_daemon: the daemon of the program's home folder.
    """

    def __init__(self, program: Program, runner: CommandRunner, home_daemon: HomeDaemon) -> None:
        self.program = program
        self.runner = runner
        self.home_daemon = home_daemon

    # What differs between platforms

    @abstractmethod
    def check_supported(self, service: bool) -> None:
        """Check that an entry can be written, before anything is changed.

        Args:
            service: whether it is to be a service for all users.

        Raises:
            AutostartError: if it cannot; the sentence says what to do instead.
        """

    @abstractmethod
    def write_entry(self, service: bool) -> str:
        """Write and register the entry without starting anything; return what changed."""

    @abstractmethod
    def remove_entry(self) -> bool:
        """Stop the daemon and remove every trace of the entry; return False if there is none."""

    @abstractmethod
    def is_installed(self) -> bool:
        """Return whether the entry is there."""

    @abstractmethod
    def describe(self) -> str:
        """Return a description of the entry, with its path if it has one."""

    @abstractmethod
    def start(self) -> None:
        """Have the platform start the daemon."""

    @abstractmethod
    def stop(self) -> None:
        """Have the platform stop the daemon until the next login."""

    @abstractmethod
    def log_hint(self) -> str:
        """Return how to read the daemon's log."""

    def runs(self, daemon: RunningDaemon) -> bool:
        """Return whether the platform started *daemon*; otherwise somebody did by hand."""
        return False

    def has_failed(self) -> bool:
        """Return whether the daemon has failed since the platform was told to start it."""
        return False

    def notes(self) -> list[str]:
        """Return what the user should know after an install."""
        return []

    # What is the same on all platforms

    def restart(self) -> None:
        """Stop the daemon, wait until it has ended, and start it."""
        running = self.home_daemon.running()
        self.stop()
        if running is not None:
            self.home_daemon.await_end(running)
        self.start()

    def install(self, service: bool = False, *, skip_port_check: bool = False) -> Outcome:
        """Install or update the entry, and return when the platform runs the daemon.

        A daemon of the same home folder that was started by hand is stopped first.

        Raises:
            ConfigError: if a flag or the configuration is wrong.
            AutostartError: if the platform refuses, or the daemon is not ready in time.
            StartupError: if another process uses the port.
        """
        settings = self.program.settings()
        self.check_supported(service)
        running = self.home_daemon.running()
        if not skip_port_check:
            check_port(settings.bind, settings.port, running)
        is_by_platform = running is not None and self.runs(running)
        state = self.write_entry(service)
        try:
            if running is not None and not is_by_platform:
                self.home_daemon.stop()
                running = None
            if running is None:
                self.start()
            elif state == UPDATED:
                self.restart()
        except BaseException:
            if state == INSTALLED:
                self.remove_entry()
            raise
        return Outcome(
            state=state,
            entry=self.describe(),
            logs=self.log_hint(),
            daemon=self.home_daemon.await_ready(self.log_hint(), self.has_failed),
            notes=[*self.program.notes(), *self.notes()],
        )

    def uninstall(self, purge: bool = False) -> Outcome:
        """Remove the entry, and with *purge* also the home folder with its database.

        Raises:
            AutostartError: if the platform refuses, or the daemon does not end.
        """
        entry = self.describe()
        databases = self._databases() if purge else []
        state = REMOVED if self.remove_entry() else ABSENT
        if not purge:
            return Outcome(state=state, entry=entry)
        self.home_daemon.stop()
        deleted, left = purge_home(self.program.home)
        # The user chose the place of a database outside the home folder, so it is not deleted.
        left += [path for path in databases if os.path.exists(path) and path not in left]
        return Outcome(state=state, entry=entry, deleted=deleted, left=left)

    def _databases(self) -> list[str]:
        """Return the databases that the running daemon and the configuration name."""
        paths = [self.home_daemon.database()]
        # An uninstall must also work with a broken configuration.
        with contextlib.suppress(ConfigError):
            paths.append(self.program.settings().db_path)
        return sorted({os.path.abspath(path) for path in paths if path and "://" not in path})
