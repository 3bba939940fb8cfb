"""What this machine takes for nothing: an interpreter, an fsync, a round trip, our own client."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator

from bench import load
from bench.context import Bench
from bench.http1 import connect
from bench.stats import RATE

GROUP = "The machine's own floor"
_ECHO_BYTES = 200
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_CLIENTS = 16
# Samples that are taken again before each scenario, so that the floor is that of the whole run.
_AGAIN = 50


def run(bench: Bench) -> None:
    """Measure the floor, and how much our own client can drive."""
    with bench.home() as home:
        for _ in range(bench.scale.processes):
            bench.bare_python(home)
    sample(bench, bench.scale.requests)
    with _responder(_REPLY) as address, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(address)) for _ in range(_CLIENTS)]
        request = b"x" * _ECHO_BYTES
        total = bench.scale.requests * 5
        rates = [
            load.closed_loop(sockets, lambda _: request, total).rate
            for _ in range(bench.scale.rounds)
        ]
        bench.add("floor.client", "requests that this client can drive at most", rates, RATE)


def sample(bench: Bench, count: int = _AGAIN) -> None:
    """Take some samples of an fsync and of a round trip."""
    with bench.home() as home:
        bench.add("floor.fsync", "append 4 KB and fsync", _fsyncs(home.folder, count))
    with _responder(b"x" * _ECHO_BYTES) as address, connect(address) as sock:
        title = f"loopback round trip, {_ECHO_BYTES} bytes each way"
        bench.add("floor.loopback", title, _round_trips(sock, count))


def _fsyncs(folder: str, count: int) -> Iterator[float]:
    page = os.urandom(4096)
    descriptor = os.open(os.path.join(folder, "fsync"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(count):
            begin = time.perf_counter()
            os.write(descriptor, page)
            os.fsync(descriptor)
            yield (time.perf_counter() - begin) * 1000
    finally:
        os.close(descriptor)


def _round_trips(sock: socket.socket, count: int) -> Iterator[float]:
    request = b"x" * _ECHO_BYTES
    for _ in range(count):
        begin = time.perf_counter()
        sock.sendall(request)
        left = _ECHO_BYTES
        while left:
            left -= len(sock.recv(left))
        yield (time.perf_counter() - begin) * 1000


@contextlib.contextmanager
def _responder(reply: bytes) -> Iterator[tuple[str, int]]:
    """Answer *reply* to each `_ECHO_BYTES` that come, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if pid == 0:
            _in_child(lambda: _respond(listener, reply))
        try:
            yield listener.getsockname()
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def _in_child(work: Callable[[], None]) -> None:
    """Work and end the process, whatever happens: nothing of the parent's may run here."""
    try:
        work()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _respond(listener: socket.socket, reply: bytes) -> None:
    import selectors

    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ)
                continue
            sock = key.fileobj  # type: ignore[assignment]  # we registered nothing else
            if sock.recv(_ECHO_BYTES, socket.MSG_WAITALL):
                sock.sendall(reply)
            else:
                selector.unregister(sock)
                sock.close()
