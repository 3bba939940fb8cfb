"""Three daemons on one PostgreSQL, with everybody at work on all of them, and what befalls them."""

import random
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import trio

from claude_mailbox.daemon.store.postgres.engine import DEAD_SECONDS
from crash.crowd import Book, Outlet, check, follow, send_and_forget, send_with_keys, watch
from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.postgres import PostgresServer

# Each mailbox has its receiver on one daemon, and senders on all.
RECEIVERS = {"watched": watch, "checked": check, "followed": follow}
# This one has receivers on all daemons.
EVERYWHERE = "everywhere"
# How long a daemon is frozen past the time after which it is taken for dead.
PAST_DEAD_SECONDS = 2

Fault = Callable[[], Awaitable[None]]

# A daemon whose wall clock is off by so many seconds, and which takes others for dead after so many.
_DAEMON = """
import sys, time
seconds, dead_seconds, real = int(sys.argv.pop(1)), int(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + seconds * 1_000_000_000
time.time = lambda: time.time_ns() / 1e9
from claude_mailbox.daemon.delivery import other_daemons
from claude_mailbox.daemon.store.postgres import engine
engine.DEAD_SECONDS = dead_seconds
engine.BEAT_SECONDS = other_daemons.POLL_SECONDS = dead_seconds / 4
from claude_mailbox.__main__ import main
main()
"""


class Sharing:
    """The daemons, the server, and the book of all.

    Attributes:
        outlets: one for each daemon.
        book: what was promised and what was kept.
    """

    def __init__(
        self,
        server: PostgresServer,
        database: str,
        daemons: list[DaemonProcess],
        dice: random.Random,
        dead_seconds: int,
    ) -> None:
        self._dead_seconds = dead_seconds
        self.book = Book()
        self.outlets = [Outlet(daemon, self.book) for daemon in daemons]
        for outlet in self.outlets:
            outlet.is_up.set()
        self._server = server
        self._database = database
        self._dice = dice

    def faults(self, count: int) -> list[Fault]:
        """Return so many things that can happen, each kind once before any comes again."""
        kinds = [
            self.kill_a_daemon,
            self.stop_the_server_fast,
            self.stop_the_server_immediately,
            self.cut_the_connections,
        ]
        rounds = [self._dice.sample(kinds, len(kinds)) for _ in range(0, count, len(kinds))]
        return [fault for faults in rounds for fault in faults][:count]

    async def kill_a_daemon(self) -> None:
        """Kill one of the others with -9, and start it again."""
        outlet = self._dice.choice(self.outlets[1:])
        outlet.is_up = trio.Event()
        await trio.to_thread.run_sync(outlet.daemon.kill)
        await trio.to_thread.run_sync(outlet.daemon.start)
        outlet.is_up.set()

    async def stop_the_server_fast(self) -> None:
        """Stop PostgreSQL in order, and start it again."""
        await self._restart_server("fast")

    async def stop_the_server_immediately(self) -> None:
        """Stop PostgreSQL as by a power cut, and start it again."""
        await self._restart_server("immediate")

    async def _restart_server(self, mode: str) -> None:
        await trio.to_thread.run_sync(self._server.stop, mode)
        await trio.to_thread.run_sync(self._server.start)

    async def cut_the_connections(self) -> None:
        """End every connection to the database."""
        await trio.to_thread.run_sync(self._server.cut_connections, self._database)

    async def freeze_the_first_daemon(self) -> None:
        """Stop it in its tracks until the others take it for dead, and let it go on."""
        daemon = self.outlets[0].daemon
        self.book.may_be_late = True
        daemon.send_signal(signal.SIGSTOP)
        await trio.sleep(self._dead_seconds + PAST_DEAD_SECONDS)
        daemon.send_signal(signal.SIGCONT)

    async def work(self, faults: Sequence[Fault], between: int) -> None:
        """Let everybody work while *faults* happen, with some progress between them.

        Meanwhile the first daemon is frozen, and thaws.
        """
        async with trio.open_nursery() as receivers:
            for outlet, (mailbox, receive) in zip(self.outlets, RECEIVERS.items(), strict=True):
                receivers.start_soon(receive, outlet, mailbox)
                receivers.start_soon(watch, outlet, EVERYWHERE)
            stop = trio.Event()
            async with trio.open_nursery() as senders:
                for number, outlet in enumerate(self.outlets):
                    for mailbox in (*RECEIVERS, EVERYWHERE):
                        senders.start_soon(
                            send_with_keys, outlet, f"sure {number} of {mailbox}", mailbox, stop
                        )
                    senders.start_soon(send_and_forget, outlet, f"light {number}", "followed", stop)
                await self._progress(between)
                async with trio.open_nursery() as freezing:
                    freezing.start_soon(self.freeze_the_first_daemon)
                    for fault in faults:
                        await self._progress(between)
                        await fault()
                await self._progress(between)
                stop.set()
            while self.book.missing:
                with trio.fail_after(PATIENCE_SECONDS):
                    await self.book.progress()
            receivers.cancel_scope.cancel()

    async def _progress(self, events: int) -> None:
        goal = self.book.events + events
        while self.book.events < goal:
            with trio.fail_after(PATIENCE_SECONDS * 2):
                await self.book.progress()

    def check(self) -> None:
        """Check what must hold whatever happened."""
        book = self.book
        assert book.mistakes == []
        assert book.missing == set()
        assert book.acked
        for sent in book.answered.values():
            assert all(first < second for first, second in pairwise(sent)), "sent in order"
        for mailbox in ("checked", "followed"):
            # These leases end with the daemon, so nothing is ever overtaken.
            order = book.first_deliveries(mailbox)
            assert order == sorted(order), f"{mailbox} came out of order"
        fresh = [n for box, n, attempts in book.received if (box, attempts) == ("watched", 1)]
        assert fresh == sorted(fresh), "watched came out of order"
        execute = self._server.execute
        delivered = {
            number
            for (number,) in execute(
                "SELECT id FROM claude_mailbox.message WHERE state = 2", self._database
            )
        }
        assert book.acked <= delivered, "acked, and not noted as delivered"
        [(count, different)] = execute(
            "SELECT count(*), count(DISTINCT text) FROM claude_mailbox.body", self._database
        )
        assert count == different, "a keyed send was stored twice"

    def summary(self) -> str:
        """Return the figures of the run."""
        numbers = [number for _, number, _ in self.book.received]
        return (
            f"{sum(map(len, self.book.answered.values()))} sends answered,"
            f" {len(self.book.acked)} acks, {len(numbers) - len(set(numbers))} deliveries repeated"
        )


@contextmanager
def three_daemons(
    server: PostgresServer, dice: random.Random, *, dead_seconds: int = DEAD_SECONDS
) -> Iterator[Sharing]:
    """Start three daemons on a new database, whose clocks are ten minutes apart.

    Without a heartbeat for *dead_seconds* they are taken for dead.
    """
    database = server.create_database()
    with ExitStack() as stack:
        daemons = [
            stack.enter_context(
                DaemonProcess(
                    {"databaseUrl": server.url(database)},
                    command=[sys.executable, "-c", _DAEMON, str(seconds), str(dead_seconds)],
                )
            )
            for seconds in (-600, 0, 600)
        ]
        yield Sharing(server, database, daemons, dice, dead_seconds)
