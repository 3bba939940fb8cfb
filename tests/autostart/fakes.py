"""Fake platforms: they answer like the commands of the platform, and record what they were told."""

from collections.abc import Callable, Mapping, Sequence

from claude_mailbox.autostart.command_runner import CommandResult, CommandRunner
from claude_mailbox.autostart.home_daemon import HomeDaemon, RunningDaemon


class FakeRunner(CommandRunner):
    """Records commands; the method ``do_<program>`` of a subclass answers each.

    Attributes:
        commands: the commands, in order.
        spawned: the commands that were started in the background.
    """

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.spawned: list[list[str]] = []

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        self.commands.append(list(command))
        name = command[0].removesuffix(".exe").replace("-", "_")
        method = getattr(self, f"do_{name}", None)
        if method is None:
            return CommandResult(127, errors=f"{command[0]} is not installed")
        done: CommandResult = method(*command[1:])
        return done

    def spawn(self, command: Sequence[str]) -> None:
        self.spawned.append(list(command))

    def pop_commands(self) -> list[list[str]]:
        """Return the commands so far, and clear the record."""
        commands, self.commands = self.commands, []
        return commands


class FakeHomeDaemon(HomeDaemon):
    """A daemon that runs as soon as the fake platform starts it.

    Attributes:
        daemon: the daemon that runs.
        stopped: pids of the daemons that were stopped, not by the platform.
    """

    def __init__(self) -> None:
        super().__init__("/nonexistent")
        self.daemon: RunningDaemon | None = None
        self.stopped: list[int] = []

    def running(self) -> RunningDaemon | None:
        return self.daemon

    def database(self) -> str | None:
        return None

    def stop(self) -> None:
        if self.daemon is not None:
            self.stopped.append(self.daemon.pid)
            self.daemon = None

    def await_end(self, found: RunningDaemon) -> None:
        assert self.daemon != found, "the daemon was not stopped"

    def await_ready(self, hint: str, has_failed: Callable[[], bool]) -> RunningDaemon:
        assert self.daemon is not None, "the daemon was not started"
        return self.daemon
