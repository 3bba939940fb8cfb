"""Many clients at once: a closed loop, where each client sends again when its answer has come.

One thread and one selector drive all connections. Threads would wait for each other's turn at the
interpreter lock, and that wait would count as the daemon's; trio would spend more on a wake-up
than this loop spends on a whole request. What this loop can drive at most is measured in each
run (figure ``floor.client``), and is far above what the daemon answers.
"""

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.http1 import PATIENCE_SECONDS, split

# Length of the whole reply at the start of the buffer, 0 if it is not all there yet.
ReplyLength = Callable[[bytearray], int]


@dataclass(frozen=True, slots=True)
class Load:
    """What a round of load brought: requests a second, and each one's time in ms."""

    rate: float
    latencies: Sequence[float]


class _Client:
    __slots__ = ("buffer", "number", "sent_at", "socket")

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.socket = sock
        self.buffer = bytearray()
        self.sent_at = 0.0


def http_reply(buffer: bytearray) -> int:
    """Return the length of the HTTP answer in *buffer*, which must be a 200."""
    found = split(buffer)
    if found is None:
        return 0
    status, start, end = found
    if status != 200:
        raise BenchError(f"Answer {status} under load: {bytes(buffer[start:end])[:200]!r}.")
    return end


def closed_loop(
    sockets: Sequence[socket.socket],
    requests: Callable[[int], bytes],
    total: int,
    reply_length: ReplyLength = http_reply,
) -> Load:
    """Send *total* requests over *sockets* and time them.

    Args:
        sockets: connected ones, a client each.
        requests: returns what the client of that number sends.
        total: how many, over all clients.
        reply_length: knows where a reply ends.

    Raises:
        BenchError: if a connection ends, nothing comes, or a reply is an error.
    """
    clock = time.perf_counter
    latencies: list[float] = []
    clients = [_Client(number, sock) for number, sock in enumerate(sockets)]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        started = 0
        begin = clock()
        for client in clients[:total]:
            started += 1
            client.sent_at = clock()
            client.socket.sendall(requests(client.number))
        while len(latencies) < total:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise BenchError(f"No reply within {PATIENCE_SECONDS:.0f} s under load.")
            for key, _ in ready:
                client = key.data
                data = client.socket.recv(65536)
                if not data:
                    raise BenchError("A connection ended under load.")
                client.buffer += data
                length = reply_length(client.buffer)
                if not length:
                    continue
                now = clock()
                latencies.append((now - client.sent_at) * 1000)
                del client.buffer[:length]
                if started < total:
                    started += 1
                    client.sent_at = now
                    client.socket.sendall(requests(client.number))
        elapsed = clock() - begin
    return Load(total / elapsed, latencies)
