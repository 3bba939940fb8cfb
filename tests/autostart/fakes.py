"""Platforms that are not here: they answer as their commands do, and keep what they were told."""

from collections.abc import Callable, Mapping, Sequence

from claude_mailbox.autostart.resident import Resident, Running
from claude_mailbox.autostart.runner import Done, Runner


class FakeRunner(Runner):
    """Keeps the commands; each goes to the method that is named after its program.

    Attributes:
        commands: the commands in their order.
        spawned: what was started in the background.
    """

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.spawned: list[list[str]] = []

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
        self.commands.append(list(command))
        name = command[0].removesuffix(".exe").replace("-", "_")
        method = getattr(self, f"do_{name}", None)
        if method is None:
            return Done(127, complaint=f"{command[0]} is not installed")
        done: Done = method(*command[1:])
        return done

    def spawn(self, command: Sequence[str]) -> None:
        self.spawned.append(list(command))

    def took(self) -> list[list[str]]:
        """Return the commands, and forget them."""
        taken, self.commands = self.commands, []
        return taken


class FakeResident(Resident):
    """A daemon that is there as soon as the platform starts it.

    Attributes:
        daemon: the daemon that holds the home folder.
        stopped: pids of those that were asked to end.
    """

    def __init__(self) -> None:
        super().__init__("/nonexistent")
        self.daemon: Running | None = None
        self.stopped: list[int] = []

    def running(self) -> Running | None:
        return self.daemon

    def database(self) -> str | None:
        return None

    def stop(self) -> None:
        if self.daemon is not None:
            self.stopped.append(self.daemon.pid)
            self.daemon = None

    def await_end(self, found: Running) -> None:
        assert self.daemon != found, "nobody ended the daemon"

    def await_ready(self, hint: str, has_failed: Callable[[], bool]) -> Running:
        assert self.daemon is not None, "nobody started the daemon"
        return self.daemon
