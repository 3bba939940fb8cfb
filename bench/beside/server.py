"""Servers of other projects, run in throw-away folders for the length of a measurement."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from bench.errors import BenchError

_START_SECONDS = 10.0


@contextlib.contextmanager
def serving(
    command: Callable[[int, str], Sequence[str]], parent: str | None
) -> Iterator[tuple[str, int]]:
    """Run ``command(port, folder)`` and yield its address once it takes connections.

    Raises:
        BenchError: if it does not start.
    """
    folder = tempfile.mkdtemp(prefix="cmb-beside-", dir=parent)
    address = ("127.0.0.1", _free_port())
    argv = command(address[1], folder)
    try:
        process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            _wait_for(address, argv[0], process)
            yield address
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(address: tuple[str, int], name: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(address, 1):
            return
        time.sleep(0.01)
    raise BenchError(f"{name} did not start.")
