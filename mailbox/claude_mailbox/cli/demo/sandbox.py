"""The demo's stage: a throw-away home, real processes on it, a clock, and the play itself."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import FrameType

from claude_mailbox import paths
from claude_mailbox.client.reach.api import Daemon, Identity
from claude_mailbox.errors import DaemonUnreachable, MailboxError

# A step that takes longer has failed, and so has the demo.
_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.005
_BACKLOG = 20
_WAITING = 5

Scene = dict[str, object]


class DemoFailed(MailboxError):
    """The demo did not see what it wanted to show."""

    code = "demo"


class Stage:
    """A home folder and everything that runs in it, as a context manager that leaves nothing.

    Args:
        tell: prints one line of the timeline.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._began = time.perf_counter()
        self._processes: list[subprocess.Popen[str]] = []
        self._daemon: subprocess.Popen[str] | None = None
        # Short: the path of a Unix socket has little room.
        self.home = tempfile.mkdtemp(prefix="mailbox-demo-")
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "CLAUDE_MAILBOX_URL"},
            "CLAUDE_MAILBOX_HOME": self.home,
        }
        self._former: object = None

    def __enter__(self) -> "Stage":
        self._former = signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not keep us from tidying up.
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)
        signal.signal(signal.SIGINT, former)
        signal.signal(signal.SIGTERM, self._former)  # type: ignore[arg-type]  # as it was

    def say(self, text: str) -> None:
        """Print one line of the timeline."""
        self._tell(f"{time.perf_counter() - self._began:7.3f} s  {text}")

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of ours against the stage's daemon."""
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

    def start_daemon(self) -> float:
        """Start the daemon; return the milliseconds until it answers."""
        began = time.perf_counter()
        self._daemon = self.run("serve", "--port", str(self._port))
        self.wait_for("the daemon's answer", self._is_up)
        return _milliseconds(began)

    def kill_daemon(self) -> None:
        """Kill the daemon with -9."""
        assert self._daemon is not None  # noqa: S101  # the play starts it first
        self._daemon.kill()
        self._daemon.wait()

    def daemon(self) -> Daemon:
        """Return a connection to the daemon."""
        path = os.path.join(self.home, os.path.basename(paths.socket_path()))
        return Daemon(f"unix:{path}" if os.path.exists(path) else self.url)

    def send(self, sender: str, to: str, body: str) -> None:
        """Send a message."""
        content = {"to": to, "body": body}
        self.daemon().call("POST", "/v1/send", identity=Identity(sender), body=content)

    def wait_until_watched(self, name: str) -> None:
        """Return when somebody waits for mail in that mailbox."""

        def is_watched() -> bool:
            rows = self.daemon().call("GET", "/v1/list").value
            return any(row["name"] == name and row["watching"] for row in rows)  # type: ignore[attr-defined]

        self.wait_for(f"a watcher of {name}", is_watched)

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds.

        Raises:
            DemoFailed: if it does not in time.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise DemoFailed(f"The demo failed: {what} did not come.")
            time.sleep(_LOOK_SECONDS)

    def output(self, process: "subprocess.Popen[str]") -> list[str]:
        """Wait for the end of a command and return what it printed.

        Raises:
            DemoFailed: if it fails or does not end.
        """
        try:
            text, _ = process.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed("The demo failed: a command did not end.") from None
        if process.returncode:
            raise DemoFailed(f"The demo failed: a command ended with {process.returncode}.")
        return text.splitlines()

    def _is_up(self) -> bool:
        assert self._daemon is not None  # noqa: S101  # it was just started
        if self._daemon.poll() is not None:
            raise DemoFailed("The demo failed: its daemon did not start; the line above says why.")
        with contextlib.suppress(DaemonUnreachable):
            return bool(self.daemon().health())
        return False


def play(stage: Stage) -> list[Scene]:
    """Play the scenes; return what was measured, in milliseconds.

    Raises:
        DemoFailed: at the first thing that is not as it should be.
    """
    return [_start(stage), _wake(stage), _drain(stage), _rename(stage), _crash(stage)]


def _start(stage: Stage) -> Scene:
    stage.say(f"A throw-away home folder, {stage.home}, and a free port: {stage.url}")
    took = stage.start_daemon()
    stage.say(f"The daemon answers, {took:.0f} ms after its start.")
    return {"scene": "start", "milliseconds": took}


def _wake(stage: Stage) -> Scene:
    watcher = stage.run("watch", "--block", "--name", "alice")
    stage.wait_until_watched("alice")
    stage.say("alice waits for mail: claude-mailbox watch --block --name alice")
    began = time.perf_counter()
    stage.send("bob", "alice", "The build is green, you can merge.")
    lines = stage.output(watcher)
    took = _milliseconds(began)
    _expect(lines, ["[Claude-Mailbox] Mail from bob: The build is green, you can merge."])
    stage.say(f"bob sends; {took:.0f} ms later alice's command has printed it and ended:")
    stage.say(f"    {lines[0]}")
    return {"scene": "wake", "milliseconds": took}


def _drain(stage: Stage) -> Scene:
    for number in range(1, _BACKLOG + 1):
        stage.send("bob", "alice", f"step {number}")
    stage.say(f"bob sends {_BACKLOG} messages while alice is busy. Each is on disk.")
    began = time.perf_counter()
    lines = stage.output(stage.run("check", "--name", "alice"))
    took = _milliseconds(began)
    wanted = [f"[Claude-Mailbox] Mail from bob: step {n}" for n in range(1, _BACKLOG + 1)]
    _expect(lines, wanted)
    stage.say(
        f"alice takes all {_BACKLOG}, in the order in which they were sent, in {took:.0f} ms."
    )
    return {"scene": "drain", "milliseconds": took, "messages": _BACKLOG}


def _rename(stage: Stage) -> Scene:
    watcher = stage.run("watch", "--block", "--name", "alice")
    stage.wait_until_watched("alice")
    began = time.perf_counter()
    stage.output(stage.run("rename", "--name", "alice", "--to", "alice-frontend"))
    lines = stage.output(watcher)
    took = _milliseconds(began)
    _expect(lines, ["[Claude-Mailbox] Mailbox renamed to 'alice-frontend'"])
    stage.say(f"alice is renamed; her watcher has noticed {took:.0f} ms later:")
    stage.say(f"    {lines[0]}")
    return {"scene": "rename", "milliseconds": took}


def _crash(stage: Stage) -> Scene:
    for number in range(1, _WAITING + 1):
        stage.send("bob", "alice", f"before the crash {number}")  # the old name: forwarded
    stage.kill_daemon()
    stage.say(f"{_WAITING} more messages, to the old name; then the daemon is killed with -9.")
    took = stage.start_daemon()
    lines = stage.output(stage.run("check", "--name", "alice-frontend"))
    mail = "[Claude-Mailbox] Mail from bob: before the crash"
    _expect(lines, [f"{mail} {n}" for n in range(1, _WAITING + 1)])
    stage.say(f"It is back {took:.0f} ms after its start, and all {_WAITING} are there, in order.")
    _expect(stage.output(stage.run("check", "--name", "alice-frontend")), [])
    stage.say("Nothing was lost, nothing came twice. The home folder is deleted now.")
    return {"scene": "crash", "milliseconds": took, "messages": _WAITING}


def _expect(lines: Sequence[str], wanted: Sequence[str]) -> None:
    if list(lines) != list(wanted):
        raise DemoFailed(f"The demo failed: expected {list(wanted)}, got {list(lines)}.")


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
