"""Daemons that are forked from a process which has imported everything already.

Nine tenths of what it costs to start a daemon are imports, and the tests start hundreds of daemons. So
each pytest process has one `multiprocessing` fork server, with the daemon's modules and the MCP SDK in
it, and each start is a fork. It is a daemon like any other, with a process id, signals, sockets and
files of its own. What it does not go through is the start of Python: the imports themselves (so nobody
waits for the MCP SDK), the variables that a process gets when it is executed, and its name in the table
of processes. Tests that are about these run the command; see `DaemonProcess`.
"""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path

# A name that cannot be imported is passed over without a word.
IMPORTED = [
    "claude_mailbox.__main__",
    "claude_mailbox.cli.serve",
    "claude_mailbox.daemon.main",
    "claude_mailbox.daemon.mcp.server",
    "claude_mailbox.daemon.edge.network.server",
    "claude_mailbox.daemon.store.sqlite.engine",
    "claude_mailbox.daemon.store.postgres.engine",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(IMPORTED)
# An exit code can be read once, and the start of a process reads those of all others.
_LOCK = threading.Lock()


class ForkedProcess:
    """A process that runs ``serve``, with what `DaemonProcess` uses of ``subprocess.Popen``.

    Attributes:
        pid: its process id.
        stdout: the other end of its standard output.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        max_descriptors: int | None = None,
    ) -> None:
        reader, writer = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=_serve,
            args=(list(arguments), dict(environment), writer, str(log), max_descriptors),
        )
        with _LOCK:
            self._process.start()
        writer.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdout = os.fdopen(os.dup(reader.fileno()))
        reader.close()

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; -9 means that signal 9 ended it."""
        with _LOCK:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code."""
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("serve", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _serve(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: connection.Connection,
    log: str,
    max_descriptors: int | None,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    streams = (
        os.open(os.devnull, os.O_RDONLY),
        output.fileno(),
        os.open(log, os.O_WRONLY | os.O_APPEND),
    )
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if max_descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max_descriptors, max_descriptors))
    sys.argv = ["claude-mailbox", "serve", *arguments]
    from claude_mailbox.__main__ import main

    main()
