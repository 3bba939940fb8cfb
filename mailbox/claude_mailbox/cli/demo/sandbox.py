"""The demo's sandbox: a temporary home folder, and a real daemon and commands that use it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import FrameType

from claude_mailbox import paths
from claude_mailbox.client.reach.api import Daemon, Identity
from claude_mailbox.errors import DaemonUnreachable, MailboxError

# A step that takes longer has failed, and the demo with it.
_STEP_SECONDS = 20.0
_POLL_SECONDS = 0.005


class DemoFailed(MailboxError):
    """A step of the demo did not do what it should show."""

    code = "demo"


class Sandbox:
    """A home folder and all processes that use it, as a context manager that leaves nothing.

    Attributes:
        home: the home folder.
        url: address of the daemon on TCP.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self._daemon: subprocess.Popen[str] | None = None
        # A short path, because paths of Unix sockets must be short.
        self.home = tempfile.mkdtemp(prefix="mailbox-demo-")
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "CLAUDE_MAILBOX_URL"},
            "CLAUDE_MAILBOX_HOME": self.home,
        }
        self._former_handler: object = None

    def __enter__(self) -> "Sandbox":
        self._former_handler = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not stop the clean-up.
        former_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)
        signal.signal(signal.SIGINT, former_handler)
        signal.signal(signal.SIGTERM, self._former_handler)  # type: ignore[arg-type]

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one of our commands in the sandbox."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "claude_mailbox", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._processes.append(process)
        return process

    def start_daemon(self) -> None:
        """Start the daemon, and return when it answers."""
        self._daemon = self.run("serve", "--port", str(self._port))
        self.wait_for("an answer of the daemon", self._answers)

    def kill_daemon(self) -> None:
        """Kill the daemon with SIGKILL."""
        assert self._daemon is not None  # noqa: S101  # the first scene starts it
        self._daemon.kill()
        self._daemon.wait()

    def daemon(self) -> Daemon:
        """Return the running daemon."""
        path = os.path.join(self.home, os.path.basename(paths.socket_path()))
        return Daemon(f"unix:{path}" if os.path.exists(path) else self.url)

    def send(self, sender: str, to: str, body: str) -> None:
        """Send a message."""
        content = {"to": to, "body": body}
        self.daemon().call("POST", "/v1/send", identity=Identity(sender), body=content)

    def wait_until_watched(self, name: str) -> None:
        """Wait until somebody watches the mailbox."""

        def is_watched() -> bool:
            rows = self.daemon().call("GET", "/v1/list").value
            return any(row["name"] == name and row["watching"] for row in rows)  # type: ignore[attr-defined]

        self.wait_for(f"a watcher of {name}", is_watched)

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until *condition* is true.

        Raises:
            DemoFailed: if it is not true in time; the sentence says *what* is missing.
        """
        deadline = time.monotonic() + _STEP_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise DemoFailed(f"The demo failed: there was no sign of {what}.")
            time.sleep(_POLL_SECONDS)

    def output(self, process: "subprocess.Popen[str]") -> list[str]:
        """Wait until a command ends, and return the lines that it printed.

        Raises:
            DemoFailed: if it fails or does not end.
        """
        try:
            text, _ = process.communicate(timeout=_STEP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed("The demo failed: a command did not end.") from None
        if process.returncode:
            raise DemoFailed(f"The demo failed: a command exited with {process.returncode}.")
        return text.splitlines()

    def _answers(self) -> bool:
        assert self._daemon is not None  # noqa: S101  # it was just started
        if self._daemon.poll() is not None:
            raise DemoFailed("The demo failed: its daemon did not start; the line above says why.")
        with contextlib.suppress(DaemonUnreachable):
            return bool(self.daemon().health())
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
