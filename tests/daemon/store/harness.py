"""A ledger at work on SQLite, whose worker can be held up."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import apsw
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.errors import MailboxError

T = TypeVar("T")

WORKER, EVENT_LOOP = "worker", "event loop"


def add(name: str) -> Callable[[Transaction], str]:
    """Return a job that makes a mailbox and returns its name."""
    return lambda transaction: transaction.mailboxes.register(name, 1)


def look(transaction: Transaction) -> int:
    """A job that changes nothing."""
    return transaction.mail.peek("a").pending


def stored(connection: apsw.Connection) -> list[str]:
    """Return the mailboxes in the order of their making, past the ledger."""
    return [name for (name,) in connection.execute("SELECT name FROM mailbox ORDER BY id")]


class HeldWorker:
    """Runs calls in the event loop, once nobody holds it up.

    Attributes:
        is_free: set while calls run at once.
        is_running: whether a call runs.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.is_free = trio.Event()
        self.is_free.set()
        self.is_running = False

    def hold(self) -> None:
        """Let calls wait until ``is_free`` is set."""
        self.is_free = trio.Event()

    async def run(self, function: Callable[[], T]) -> T:
        self.calls += 1
        with trio.CancelScope(shield=True):
            await self.is_free.wait()
            await trio.lowlevel.checkpoint()
            self.is_running = True
            try:
                return function()
            finally:
                self.is_running = False

    def close(self) -> None:
        pass


class ObservedEngine(SqliteEngine):
    """SQLite on a worker that can be held up.

    Attributes:
        places: where each transaction began, ``WORKER`` or ``EVENT_LOOP``.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.worker = HeldWorker()
        self.places: list[str] = []
        super().__init__(connection, self.worker)

    def begin(self, *, flush: bool, wait: bool) -> Transaction | None:
        self.places.append(WORKER if self.worker.is_running else EVENT_LOOP)
        return super().begin(flush=flush, wait=wait)


class Harness:
    """A ledger, and what its callers got.

    Attributes:
        outcomes: of each call of ``note``, what the job returned or the name of its error.
    """

    def __init__(self, engine: ObservedEngine) -> None:
        self.engine = engine
        self.worker = engine.worker
        self.connection = engine.connection
        self.ledger = Ledger(engine)
        self.outcomes: list[object] = []

    def stored(self) -> list[str]:
        """Return the mailboxes in the order of their making, past the ledger."""
        return stored(self.connection)

    async def note(
        self,
        job: Callable[[Transaction], object],
        *,
        durable: bool = True,
        brief: bool = False,
    ) -> None:
        """Run a job and note its outcome."""
        try:
            self.outcomes.append(await self.ledger.run(job, durable=durable, brief=brief))
        except MailboxError as error:
            self.outcomes.append(type(error).__name__)

    async def start_batch(self, nursery: trio.Nursery) -> None:
        """Hold the worker up and keep the ledger busy: what comes now shares the next batch."""
        self.worker.hold()
        nursery.start_soon(self.ledger.run, look)
        await wait_all_tasks_blocked()

    async def together(
        self, *jobs: Callable[[Transaction], object], durable: Sequence[bool] = ()
    ) -> list[object]:
        """Run jobs in one batch, in this order; return the outcomes in the order of answering."""
        calls = self.worker.calls
        async with trio.open_nursery() as nursery:
            await self.start_batch(nursery)
            for job, wish in zip(jobs, durable or [True] * len(jobs), strict=True):
                nursery.start_soon(partial(self.note, job, durable=wish))
                await wait_all_tasks_blocked()
            self.worker.is_free.set()
        assert self.worker.calls == calls + 2, "not one batch"
        return self.outcomes
