"""The daemon under test: a real process, on a free port, in a throw-away home."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping

from bench.errors import BenchError
from bench.http1 import Connection, build
from bench.mcp import list_tools

START_SECONDS = 20.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.001
HEALTH = build("GET", "/health")
# What an installer puts on the PATH. `python -m` would cost several ms more than users pay.
_LAUNCHER = """\
import sys
from claude_mailbox.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


class Home:
    """A throw-away home folder, in which daemons run one after the other.

    Args:
        folder: an existing folder that is ours alone.
        settings: what ``mailbox.json`` says, besides the port.
    """

    def __init__(self, folder: str, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self.database = os.path.join(folder, "mailbox.db")
        self.socket_path = os.path.join(folder, "mailbox.sock")
        self._launcher = os.path.join(folder, "claude-mailbox")
        with open(self._launcher, "w", encoding="utf-8") as file:
            file.write(_LAUNCHER)
        with open(os.path.join(folder, "mailbox.json"), "w", encoding="utf-8") as file:
            json.dump({"port": 0, **settings}, file)

    def __repr__(self) -> str:
        return f"<Home {self.folder}>"

    def environment(self) -> dict[str, str]:
        """Return the environment in which commands find this home."""
        ours = {"CLAUDE_MAILBOX_HOME": self.folder}
        return {key: value for key, value in os.environ.items() if _is_neutral(key)} | ours

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of claude-mailbox with *arguments*."""
        return [sys.executable, self._launcher, *arguments]


def _is_neutral(key: str) -> bool:
    """Say whether a variable may reach the processes under test, which run as a user's would.

    Without bytecode files, for one, every start would compile everything anew.
    """
    if key.startswith("PYTHON"):
        return key == "PYTHONPATH"
    return not key.startswith(("CLAUDE_MAILBOX_", "CLAUDE_CODE_", "COVERAGE_"))


@contextlib.contextmanager
def throw_away_home(parent: str | None = None, **settings: object) -> Iterator[Home]:
    """Make a home below *parent* and delete it afterwards."""
    folder = tempfile.mkdtemp(prefix="cmb-", dir=parent)
    try:
        yield Home(folder, settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Daemon:
    """A running daemon.

    Attributes:
        home: where it lives.
        pid: of its process.
        address: host and port of its TCP listener.
        socket_path: its Unix socket.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.socket_path = home.socket_path
        self.address: tuple[str, int] = ("", 0)
        self._log = open(os.path.join(home.folder, "daemon.log"), "ab")  # noqa: SIM115
        self._begin = time.perf_counter()
        self._process = subprocess.Popen(
            home.command("serve", "--port", "0"),
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self.pid = self._process.pid

    def __repr__(self) -> str:
        return f"<Daemon {self.pid} at {self.address}>"

    def wait_until_healthy(self) -> float:
        """Wait for ``/health``; return how many ms after the start it answered.

        Raises:
            BenchError: if it never does; the sentence has the end of the daemon's log.
        """
        while True:
            # A fresh connection each time: the socket file may be there before its listener is.
            with contextlib.suppress(OSError), self.connect_local() as connection:
                answer = connection.exchange(HEALTH)
                if answer.status == 200:
                    elapsed = (time.perf_counter() - self._begin) * 1000
                    self._read_address(answer.body)
                    return elapsed
            if self._process.poll() is not None:
                raise BenchError(f"The daemon ended while it started:\n{self._log_end()}")
            if time.perf_counter() - self._begin > START_SECONDS:
                raise BenchError(f"The daemon did not start:\n{self._log_end()}")
            time.sleep(_POLL_SECONDS)

    def wait_until_mcp(self) -> float:
        """Wait until ``/mcp`` has answered; return how many ms after the start that was."""
        with self.connect() as connection:
            connection.expect(list_tools())
        return (time.perf_counter() - self._begin) * 1000

    def connect(self) -> Connection:
        """Return a connection over TCP."""
        return Connection(self.address)

    def connect_local(self) -> Connection:
        """Return a connection over the Unix socket."""
        return Connection(self.socket_path)

    def stop(self) -> None:
        """End the daemon in good order.

        Raises:
            BenchError: if it does not end, or not with 0.
        """
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise BenchError(f"The daemon did not stop:\n{self._log_end()}") from None
        finally:
            self._log.close()
        if code:
            raise BenchError(f"The daemon ended with {code}:\n{self._log_end()}")

    def _read_address(self, body: bytes) -> None:
        for address in json.loads(body)["addresses"]:
            if address.startswith("http://"):
                host, _, port = address.removeprefix("http://").rpartition(":")
                self.address = (host, int(port))

    def _log_end(self) -> str:
        with open(self._log.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]


@contextlib.contextmanager
def running(home: Home) -> Iterator[Daemon]:
    """Run a daemon in *home* for the duration of the block; it is healthy, and ``/mcp`` is in."""
    daemon = Daemon(home)
    try:
        daemon.wait_until_healthy()
        daemon.wait_until_mcp()
        yield daemon
    finally:
        daemon.stop()
