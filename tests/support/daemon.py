"""A real daemon process in a home folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import claude_mailbox
from support.forked import ForkedProcess

# What users run; ``serve`` and its arguments come behind it.
COMMAND = (sys.executable, "-m", "claude_mailbox")
# How long to wait for something that ought to take half a second: a busy machine is no failure.
PATIENCE_SECONDS = 30.0


class DaemonProcess:
    """Runs ``claude-mailbox serve`` on a free port, from construction of the home to ``close``.

    It is a process of its own, forked as `support.forked` says, unless it gets variables of its own
    or there is a *command*: ``COMMAND`` for tests of the start itself.

    Use it as a context manager: it is started on the way in, and on the way out it is killed
    and the test fails when the log has a traceback. Every call blocks; in a trio test, put the
    slow ones (``start``, ``restart``, ``stop``) on a thread where that matters.

    Attributes:
        home: the home folder, a short path of its own.
        url: base URL on TCP, known once it runs.
        socket_path: path of the Unix socket; None where there is none.

    Args:
        settings: further keys for ``mailbox.json``.
        arguments: further arguments of ``serve``.
        environment: further variables for the process.
        command: what to run, up to but without ``serve``.
        max_descriptors: how many descriptors it may have, unless as many as we.
    """

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        max_descriptors: int | None = None,
    ) -> None:
        # Short, because a Unix socket's path must be.
        self._folder = tempfile.TemporaryDirectory(prefix="cmb-", ignore_cleanup_errors=True)
        self.home = Path(self._folder.name) / "home"
        self.home.mkdir(mode=0o700)
        self.settings: dict[str, object] = {"port": 0, **(settings or {})}
        self.url = ""
        self.socket_path: str | None = None
        self._arguments = list(arguments)
        self._environment = dict(environment or {})
        self._command = command
        self._max_descriptors = max_descriptors
        self._process: subprocess.Popen[str] | ForkedProcess | None = None
        self._log_path = Path(self._folder.name) / "stderr.log"

    def __enter__(self) -> "DaemonProcess":
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(is_failing=error is not None)

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None, "the daemon does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def port(self) -> int:
        """TCP port of the running daemon."""
        return int(self.url.rpartition(":")[2])

    @property
    def database(self) -> Path:
        """Path of the database, unless the settings name another."""
        return Path(str(self.settings.get("dbPath", self.home / "mailbox.db")))

    @property
    def environment(self) -> dict[str, str]:
        """Environment for processes that are to talk to this daemon, such as the command line."""
        source = str(Path(claude_mailbox.__file__).parents[1])
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("CLAUDE_MAILBOX")
        }
        path = os.pathsep.join(filter(None, [source, inherited.get("PYTHONPATH")]))
        return {
            **inherited,
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "CLAUDE_MAILBOX_HOME": str(self.home),
            **self._environment,
        }

    def log(self) -> str:
        """Return what all lives of the daemon wrote to standard error."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def start(self) -> None:
        """Start it and wait for its ready line."""
        assert not self.is_running, "the daemon runs already"
        is_forked = self._command is None and not self._environment
        process = self._fork() if is_forked else self.spawn()
        assert process.stdout is not None
        # The watchdog ends a daemon that hangs, which ends the wait for its line.
        watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            code = process.wait()
            raise AssertionError(f"the daemon ended with {code} at its start:\n{self.log()}")
        addresses = json.loads((self.home / "mailbox.lock").read_text())["addresses"]
        self.url = next(address for address in addresses if address.startswith("http"))
        self.socket_path = next(
            (a.removeprefix("unix:") for a in addresses if a.startswith("unix:")), None
        )

    def spawn(self) -> "subprocess.Popen[str]":
        """Run the command without waiting for anything; for starts that are meant to fail."""
        self._prepare()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*(self._command or COMMAND), "serve", *self._arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self._process

    def _fork(self) -> ForkedProcess:
        self._prepare()
        self._process = ForkedProcess(
            self._arguments, self.environment, self._log_path, self._max_descriptors
        )
        return self._process

    def _prepare(self) -> None:
        (self.home / "mailbox.json").write_text(json.dumps(self.settings))
        self._log_path.touch()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """Kill it with -9 and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return the exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and return the exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def restart(self, *, same_port: bool = False) -> None:
        """Start it again, after killing it when it still runs.

        With *same_port*, clients that know the address find it there again.
        """
        if self.is_running:
            self.kill()
        if same_port:
            self.settings["port"] = self.port
        self.start()

    def close(self, *, is_failing: bool = False) -> None:
        """Kill it, remove the home, and fail if a traceback was logged.

        With *is_failing* the log is printed instead, because a failure is on its way already.
        """
        log = self._clean_up()
        if is_failing:
            print(f"log of the daemon:\n{log}")
        elif "Traceback (most recent call last)" in log:
            raise AssertionError(f"the daemon logged a traceback:\n{log}")

    def _clean_up(self) -> str:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        log = self.log()
        self._folder.cleanup()
        return log
