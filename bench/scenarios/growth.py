"""Growth: does it stay as quick with a million messages, or with two thousand waiters?

Daemons of all sizes run at the same time and are asked in turn, so that whatever else happens on
the machine happens to all of them.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from bench.backlog import deliver_stopped, fill_stopped, mixed_draft, plain_draft
from bench.context import BODY, Bench, require
from bench.daemon import Daemon, Home, running
from bench.http1 import Connection, build, check, own_request, send_request
from bench.machine import resident_kb
from bench.stats import KB
from claude_mailbox.model.drafts import Draft

_BOX = "big"
_PEEK = build("GET", f"/v1/peek?name={_BOX}")
_TAKE = own_request("POST", "/v1/check-inbox", _BOX, limit=1)
_LIST = build("GET", "/v1/list")
_SEND = send_request("sender", _BOX, BODY)


def run(bench: Bench) -> None:
    """Measure both."""
    with _filled(bench, plain_draft) as homes:
        _backlogs(bench, homes, "waiting", "waiting")
        for home in homes.values():
            deliver_stopped(home, _BOX)
        _backlogs(bench, homes, "delivered", "delivered")
    with _filled(bench, mixed_draft) as homes:
        _backlogs(bench, homes, "mixed", "of all urgencies waiting, some delayed")
    _waiters(bench)


@contextlib.contextmanager
def _filled(bench: Bench, draft: Callable[[str, int], Draft]) -> Iterator[dict[int, Home]]:
    """Make a home for each size, with so many messages in one mailbox."""
    with contextlib.ExitStack() as stack:
        homes = {}
        for size in bench.scale.backlogs:
            homes[size] = stack.enter_context(bench.home(maxPendingPerMailbox=10**9))
            fill_stopped(homes[size], _BOX, size, draft)
        yield homes


def _backlogs(bench: Bench, homes: Mapping[int, Home], state: str, what: str) -> None:
    with contextlib.ExitStack() as stack:
        connections = {
            size: stack.enter_context(stack.enter_context(running(home)).connect())
            for size, home in homes.items()
        }
        _in_turn(bench, connections, "peek", state, what, _PEEK)
        _in_turn(bench, connections, "claim", state, what, _TAKE, before=_SEND)


def _in_turn(
    bench: Bench,
    connections: Mapping[int, Connection],
    verb: str,
    state: str,
    what: str,
    request: bytes,
    before: bytes | None = None,
) -> None:
    for number in range(bench.scale.requests + 1):
        for size, connection in connections.items():
            if before is not None:
                connection.expect(before)
            begin = time.perf_counter()
            connection.expect(request)
            elapsed = (time.perf_counter() - begin) * 1000
            if number:  # the first of each reads the database from the disk
                name = f"growth.backlog.{state}.{verb}.{size}"
                bench.add(name, f"{verb}, {size:,} messages {what}", [elapsed])


def _waiters(bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        crowds = [
            stack.enter_context(_crowd(stack.enter_context(bench.daemon()), count))
            for count in bench.scale.waiters
        ]
        for crowd in crowds:
            if crowd.size > 1:
                title = f"memory per waiter, {crowd.size:,} waiters"
                bench.add(f"growth.waiters.{crowd.size}.memory", title, [crowd.memory], KB)
        for verb, sample in (("send", _Crowd.send_past), ("wake", _Crowd.wake)):
            for _ in range(bench.scale.requests):
                for crowd in crowds:
                    _add(bench, crowd, verb, sample)


def _add(bench: Bench, crowd: "_Crowd", verb: str, sample: "Callable[[_Crowd], float]") -> None:
    what = {"send": "send to somebody else", "wake": "wake one of them"}[verb]
    title = f"{what}, {crowd.size:,} waiting"
    bench.add(f"growth.waiters.{crowd.size}.{verb}", title, [sample(crowd)])


class _Crowd:
    """Waiters at a daemon, each at a mailbox of its own, who are woken one after the other."""

    def __init__(self, sender: Connection, waiters: list[Connection], memory: float) -> None:
        self.size = len(waiters)
        self.memory = memory
        self._sender = sender
        self._waiters = waiters
        self._next = 0

    def send_past(self) -> float:
        """Send to a mailbox at which nobody waits; return how many ms that took."""
        begin = time.perf_counter()
        self._sender.expect(_SEND)
        return (time.perf_counter() - begin) * 1000

    def wake(self) -> float:
        """Wake the next waiter, who then waits again; return how many ms the wake took."""
        while True:
            number = self._next
            self._next = (number + 1) % self.size
            waiter, mailbox = self._waiters[number], _mailbox(number)
            begin = time.perf_counter()
            self._sender.send(send_request("sender", mailbox, BODY))
            check(waiter.receive())
            elapsed = (time.perf_counter() - begin) * 1000
            waiter.send(_watch(mailbox))
            receipt = self._sender.receive()
            check(receipt)
            self._sender.expect(_PEEK)
            # A waiter of one may be late for the next message; that was no wake then.
            if receipt.json()["recipient"]["watching"]:  # type: ignore[index]
                return elapsed


def _mailbox(number: int) -> str:
    return f"waiter-{number}"


def _watch(mailbox: str) -> bytes:
    return own_request("GET", "/v1/watch", mailbox, timeout=300)


@contextlib.contextmanager
def _crowd(daemon: Daemon, count: int) -> Iterator["_Crowd"]:
    """Have *count* waiters wait."""
    with contextlib.ExitStack() as stack:
        sender = stack.enter_context(daemon.connect())
        for _ in range(50):  # what the first requests allocate is not the waiters'
            sender.expect(_PEEK)
        before = resident_kb(daemon.pid)
        waiters = []
        for number in range(count):
            waiters.append(stack.enter_context(daemon.connect()))
            waiters[-1].send(_watch(_mailbox(number)))
        _wait_for_all(sender, count)
        yield _Crowd(sender, waiters, (resident_kb(daemon.pid) - before) / count)


def _wait_for_all(connection: Connection, count: int) -> None:
    begin = time.perf_counter()
    while sum(row["watching"] for row in connection.expect(_LIST).json()) < count:  # type: ignore[attr-defined]
        require(time.perf_counter() - begin < 60, f"Not all of {count} watches have come.")
        time.sleep(0.05)
