"""Runs our commands as processes against a real daemon, and looks at the mail from outside."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from claude_mailbox.client.reach.api import Daemon, Delivery, Identity
from support.daemon import PATIENCE_SECONDS, DaemonProcess


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until *condition* is true; fail the test if it is not in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def processes_in(home: Path) -> list[int]:
    """Return the processes whose home folder is *home* or a folder in it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it has ended, or belongs to another user
        if f"CLAUDE_MAILBOX_HOME={home}".encode() in environment:
            found.append(int(entry.name))
    return found


def kill_all_in(home: Path) -> None:
    """Kill every process of a home folder, and wait until there is none.

    There can be more than the daemon: others that found the folder locked may still be ending.
    """

    def is_empty() -> bool:
        processes = processes_in(home)
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not processes

    until(is_empty, f"the end of all processes of {home}")


class CommandLine:
    """Runs ``claude-mailbox`` commands against one daemon, as a context manager.

    The other methods reach the daemon without the command line, to prepare and check mailboxes.
    Commands that still run at the end are killed.

    Args:
        process: the daemon, which need not run.
        environment: additional variables for the commands.
    """

    def __init__(
        self, process: DaemonProcess, environment: Mapping[str, str] | None = None
    ) -> None:
        self.process = process
        # If Claude Code runs the tests, its variables must not reach our commands.
        inherited = {
            key: value
            for key, value in process.environment.items()
            if not key.startswith("CLAUDE_") or key.startswith("CLAUDE_MAILBOX")
        }
        self.environment = {**inherited, **(environment or {})}
        self._children: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "CommandLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()

    def run(
        self, *arguments: str, text: str | None = "", environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, with *text* as its standard input."""
        return subprocess.run(
            self._command(arguments),
            env={**self.environment, **(environment or {})},
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def spawn(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: object
    ) -> "subprocess.Popen[str]":
        """Start a command, with further variables; *options* are those of ``Popen``."""
        streams: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        child: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            self._command(arguments),
            env={**self.environment, **(environment or {})},
            encoding="utf-8",
            **streams,
        )
        self._children.append(child)
        return child

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "claude_mailbox", *arguments]

    def client(self) -> Daemon:
        """Return a connection to the daemon for the test itself, as a context manager."""
        return Daemon(self.process.url)

    def send(self, to: str, body: str, sender: str = "peer") -> None:
        """Send a message."""
        with self.client() as daemon:
            content = {"to": to, "body": body}
            daemon.call("POST", "/v1/send", identity=Identity(sender), body=content)

    def pending(self, name: str) -> int:
        """Return how many messages wait."""
        with self.client() as daemon:
            result = daemon.call("GET", "/v1/peek", query=tuple(Identity(name).query))
        assert isinstance(result.value, dict)
        return int(result.value["pending"])

    def claim(self, name: str) -> list[Delivery]:
        """Lease all waiting messages."""
        with self.client() as daemon:
            return daemon.claim(Identity(name))[0]

    def bodies(self, name: str) -> list[str]:
        """Take all waiting messages, and return their bodies."""
        with self.client() as daemon:
            me = Identity(name)
            result = daemon.call("POST", "/v1/check-inbox", identity=me, query=tuple(me.query))
        assert isinstance(result.value, list)
        return [message["body"] for message in result.value]

    def await_bodies(self, name: str) -> list[str]:
        """Wait for mail, take it, and return the bodies.

        While the daemon has not noticed that a watcher is gone, it leases the mail to that one.
        """
        bodies: list[str] = []

        def have_come() -> bool:
            bodies.extend(self.bodies(name))
            return bool(bodies)

        until(have_come, f"mail for {name}")
        return bodies

    def is_known(self, name: str) -> bool:
        """Return whether somebody has used the mailbox."""
        with self.client() as daemon:
            rows = daemon.call("GET", "/v1/list").value
        assert isinstance(rows, list)
        return any(row["name"] == name and row["lastSeenAt"] for row in rows)

    def wait_until_watched(self, name: str) -> None:
        """Wait until somebody watches the mailbox."""

        def is_watched() -> bool:
            with self.client() as daemon:
                rows = daemon.call("GET", "/v1/list").value
            assert isinstance(rows, list)
            return any(row["name"] == name and row["watching"] for row in rows)

        until(is_watched, f"a watcher of {name}")
