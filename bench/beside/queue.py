"""What is measured of any message queue that is reached over a socket."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import load
from bench.context import Bench
from bench.http1 import connect
from bench.line import Line
from bench.load import ReplyLength
from bench.stats import RATE

_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Queue:
    """How to talk to a queue.

    Attributes:
        id: of its figures.
        name: with the setting that makes it durable.
        address: where it listens.
        reply_length: knows where a reply ends.
        put: request that stores a message durably.
        take: request for the oldest message, which waits for one.
        done: returns the request that confirms the message in a reply to *take*.
        ping: a request that changes nothing.
    """

    id: str
    name: str
    address: tuple[str, int]
    reply_length: ReplyLength
    put: bytes
    take: bytes
    done: Callable[[bytes], bytes]
    ping: bytes

    def line(self) -> Line:
        """Return a new connection."""
        return Line(connect(self.address), self.reply_length)


def measure(bench: Bench, queue: Queue) -> None:
    """Measure send, drain and wake as our own are measured."""
    scale = bench.scale
    with queue.line() as sender, queue.line() as taker:
        sends = []
        for _ in range(scale.requests):
            begin = time.perf_counter()
            sender.exchange(queue.put)
            sends.append((time.perf_counter() - begin) * 1000)
        bench.add(f"beside.{queue.id}.send", f"{queue.name}: durable send, one client", sends)
        _drain(taker, queue, scale.requests)

        for _ in range(scale.rounds):
            rate = _together(queue, max(scale.requests * 2, _CLIENTS))
            title = f"{queue.name}: durable send, {_CLIENTS} clients"
            bench.add(f"beside.{queue.id}.send.{_CLIENTS}", title, [rate], RATE)
            elapsed = _drain(taker, queue, max(scale.requests * 2, _CLIENTS))
            title = f"{queue.name}: drain, take and confirm one by one"
            rate = max(scale.requests * 2, _CLIENTS) / elapsed
            bench.add(f"beside.{queue.id}.drain", title, [rate], RATE)

        wakes = []
        for _ in range(scale.requests):
            taker.send(queue.take)
            # Single-threaded servers: after the second round trip they have seen the take.
            sender.exchange(queue.ping)
            sender.exchange(queue.ping)
            begin = time.perf_counter()
            sender.send(queue.put)
            reply = taker.receive()
            wakes.append((time.perf_counter() - begin) * 1000)
            sender.receive()
            taker.exchange(queue.done(reply))
        bench.add(f"beside.{queue.id}.wake", f"{queue.name}: wake of a blocked taker", wakes)


def _together(queue: Queue, total: int) -> float:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(queue.address)) for _ in range(_CLIENTS)]
        return load.closed_loop(sockets, lambda _: queue.put, total, queue.reply_length).rate


def _drain(taker: Line, queue: Queue, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        taker.exchange(queue.done(taker.exchange(queue.take)))
    return time.perf_counter() - begin
