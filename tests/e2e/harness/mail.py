"""The mail system under test: a home folder, a daemon and the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from e2e.harness.waiting import TIMEOUT, eventually
from support.daemon import COMMAND, DaemonProcess
from support.network import free_port

UNREACHABLE = 2
ROOT = Path(__file__).parents[3]


class CommandFailed(Exception):
    """``claude-mailbox`` failed.

    Attributes:
        exit_code: its exit code.
    """

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Mail:
    """The mail of one user. The test or a hook of the plugin starts the daemon.

    Attributes:
        home: the home folder.
        url: where the daemon listens.
        env: environment of the command and of the client with its hooks.

    Args:
        process: the daemon, if it is not a plain one.
        port: where it listens, if not on a free port.
    """

    def __init__(self, process: DaemonProcess | None = None, port: int | None = None) -> None:
        port = port or free_port()
        self._process = process or DaemonProcess({"port": port}, command=COMMAND)
        self.home = self._process.home
        self.url = f"http://127.0.0.1:{port}"
        # The port of a daemon that a hook starts.
        (self.home / "mailbox.json").write_text(json.dumps({"port": port}))
        # The command is the one that is installed in the Python of the tests.
        self.env = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "CLAUDE_MAILBOX_HOME": str(self.home),
            "CLAUDE_MAILBOX_URL": self.url,
        }

    @property
    def process_environment(self) -> dict[str, str]:
        """Environment for a process of the test that talks to the daemon."""
        return os.environ | self.env

    def run(self, *arguments: str) -> str:
        """Run ``claude-mailbox`` and return what it prints.

        Raises:
            CommandFailed: if it exits with another code than 0.
        """
        done = subprocess.run(
            ["claude-mailbox", *arguments],
            env=self.process_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        if done.returncode:
            message = f"claude-mailbox {arguments[0]} exits {done.returncode}: {done.stderr}"
            raise CommandFailed(done.returncode, message)
        return done.stdout

    def send(self, to: str, body: str, *options: str) -> dict[str, Any]:
        """Send a message that comes from no session, and return the receipt."""
        words = ("send", "--from", "outside", "--to", to, "--body", body, *options, "--json")
        receipt: dict[str, Any] = json.loads(self.run(*words))
        return receipt

    def send_burst(self, to: str, bodies: Sequence[str]) -> None:
        """Send many messages by REST, which is faster than a process for each."""
        with httpx.Client(base_url=self.url, headers={"X-Mailbox": "outside"}) as client:
            for body in bodies:
                client.post("/v1/send", json={"to": to, "body": body}).raise_for_status()

    def names(self) -> list[str]:
        """Return the names of the listed mailboxes; none while no daemon answers."""
        try:
            return [row["name"] for row in json.loads(self.run("list", "--json"))]
        except CommandFailed as failure:
            if failure.exit_code == UNREACHABLE:
                return []
            raise

    def pending(self, name: str) -> int:
        """Return how many messages wait in mailbox *name*, without taking any."""
        return int(json.loads(self.run("peek", "--name", name, "--json"))["pending"])

    def wait_until_taken(self, name: str) -> None:
        """Wait until no message waits in mailbox *name*."""
        eventually(lambda: not self.pending(name), lambda: f"mail still waits for {name}")

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        self._process.start()

    def daemon_pid(self) -> int | None:
        """Return the process id of the running daemon, whoever started it."""
        try:
            pid = int(json.loads((self.home / "mailbox.lock").read_text())["pid"])
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid

    def kill(self) -> None:
        """Kill the daemon, and wait until it has ended."""
        if self._process.is_running:
            self._process.kill()
        elif pid := self.daemon_pid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: not self.daemon_pid(), lambda: f"daemon {pid} still runs")

    def close(self, *, is_failing: bool) -> None:
        """Kill the daemon and delete the home folder; fail if it logged a traceback."""
        self.kill()
        started_by_a_hook = self.home / "daemon.log"
        if is_failing and started_by_a_hook.exists():
            print(f"log of the daemon that a hook started:\n{started_by_a_hook.read_text()}")
        self._process.close(is_failing=is_failing)
