"""The one task that owns SQLite: jobs in over a bounded channel, one commit per batch.

A job is a plain function of a connection (see store.py). The task takes what has queued up,
runs each job in a savepoint of one transaction, commits once, and only then answers all of
them. So a failing job fails alone, a failing commit fails its batch, and many senders share one
``fsync``. Nobody waits for a batch to fill: the first job starts it.

A batch in which no job asks for durability commits without ``fsync`` (``synchronous=NORMAL``).
Such are claims, releases and presence: after a crash of the process they are there all the same,
and after a power cut their loss only puts a message back in line. The next durable commit
writes them out, too.

A hop onto SQLite's thread and back costs more than most jobs, so a batch of brief jobs is done in
place, on the event loop. What nearly every request waits for is the ledger anyway. A batch that
must be flushed is done in place only while the disk proves quick: a slow flush must not keep the
loop from taking in the requests that share the next one. And whoever holds the database locked is
waited for on the thread.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import apsw
import trio

from claude_mailbox.errors import MailboxError, ShuttingDown, Unavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Back-pressure: a sender waits in its request when this many jobs are queued. It also bounds
# the length of one transaction, which is what a single sender waits for at most.
QUEUE_LIMIT = 512

# How many brief jobs are done in place at most: some milliseconds of the event loop.
_IN_PLACE_JOBS = 64
# A disk that flushes within this is quick. Each flush counts for half of the estimate, but a slow
# one at once, in full: so one hiccup of 20 ms costs five flushes on the thread.
_QUICK_SECONDS = 0.001
_UNPROVEN_SECONDS = 0.016

# How long a batch waits, on the thread, for another program to unlock the database.
_PATIENCE_MS = 2000

Function = Callable[[apsw.Connection], object]


class Runner(Protocol):
    """Runs a function of the connection: in place, or where blocking does no harm."""

    def __call__(
        self, function: Callable[[apsw.Connection], T], *, in_place: bool = False
    ) -> Awaitable[T]:
        """Return what *function* returns, or raise what it raises."""
        ...


async def _no_upkeep() -> None:
    pass


class Job:
    """A function of the connection, and in time its outcome."""

    __slots__ = ("_is_done", "_waiting", "brief", "durable", "error", "function", "value")

    def __init__(self, function: Function, *, durable: bool, brief: bool) -> None:
        self.function = function
        self.durable = durable
        self.brief = brief
        self.value: object = None
        self.error: Exception | None = None
        self._is_done = False
        self._waiting: trio.lowlevel.Task | None = None

    async def outcome(self) -> None:
        """Wait until there is one, whatever is cancelled meanwhile.

        It is an event and a shield for one task, at a fraction of the price of either.
        """
        if not self._is_done:
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def finish(self) -> None:
        """Let ``outcome`` return."""
        self._is_done = True
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)


class Ledger:
    """Front of the task: ``run`` hands a job in, ``serve`` is the task itself.

    Args:
        runner: runs one batch.
        upkeep: what the file needs now and then, awaited when a batch has been answered.
    """

    def __init__(self, runner: Runner, upkeep: Callable[[], Awaitable[None]] = _no_upkeep) -> None:
        self._runner = runner
        self._upkeep = upkeep
        self._is_full = True
        self._flush_seconds = _UNPROVEN_SECONDS
        self._jobs, self._inbox = trio.open_memory_channel[Job](QUEUE_LIMIT)
        self.drained = trio.Event()
        """Set when ``serve`` has done all that it was given before ``close``."""

    def __repr__(self) -> str:
        waiting = self._jobs.statistics().current_buffer_used
        return f"<Ledger: {waiting} jobs waiting>"

    async def run(
        self,
        function: Callable[[apsw.Connection], T],
        *,
        durable: bool = True,
        brief: bool = False,
    ) -> T:
        """Run *function* in a transaction and return its value after the commit.

        Cancellation counts until the job is queued; from then on the wait is shielded, so that a
        caller never misses the outcome of something that happened.

        Args:
            function: the job; what it raises, it raises here, and its changes are undone.
            durable: whether the answer must survive a power cut.
            brief: whether the job takes so little time that the event loop may do it.

        Raises:
            ShuttingDown: if the ledger is closed.
            Unavailable: if the database cannot be read or written; nothing was stored.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        job = Job(function, durable=durable, brief=brief)
        try:
            try:
                # Without the turn of the event loop that ``send`` takes to be fair.
                self._jobs.send_nowait(job)
            except trio.WouldBlock:
                await self._jobs.send(job)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise ShuttingDown("The daemon is shutting down: try again in a moment.") from None
        await job.outcome()
        if job.error is not None:
            raise job.error
        return job.value  # type: ignore[return-value]  # what this job's function returned

    def close(self) -> None:
        """Take no more jobs; ``serve`` finishes those it has, and returns."""
        self._jobs.close()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until ``close`` is called and everything queued is done."""
        task_status.started()
        with trio.CancelScope(shield=True):
            async with self._inbox:
                async for job in self._inbox:
                    batch = [job, *self._queued()]
                    await self._finish(batch)
                    await self._upkeep()
        self.drained.set()

    def _queued(self) -> list[Job]:
        jobs: list[Job] = []
        try:
            while len(jobs) < QUEUE_LIMIT:
                jobs.append(self._inbox.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        return jobs

    async def _finish(self, batch: Sequence[Job]) -> None:
        is_full = any(job.durable for job in batch)
        in_place = (
            len(batch) <= _IN_PLACE_JOBS
            and all(job.brief for job in batch)
            and not (is_full and self._flush_seconds > _QUICK_SECONDS)
        )
        try:
            if not (in_place and await self._try_in_place(batch, is_full=is_full)):
                await self._runner(
                    lambda connection: self._commit(
                        connection, batch, is_full=is_full, patience=_PATIENCE_MS
                    )
                )
        except Exception as error:  # a caller must never wait for ever
            logger.exception("a batch of %d jobs failed", len(batch))
            for job in batch:
                job.error = translate(error)
        for job in batch:
            job.finish()

    async def _try_in_place(self, batch: Sequence[Job], *, is_full: bool) -> bool:
        """Return whether the batch has had its outcome; if not, nothing of it has begun."""
        return await self._runner(
            lambda connection: self._commit(connection, batch, is_full=is_full, patience=0),
            in_place=True,
        )

    def _commit(
        self, connection: apsw.Connection, batch: Sequence[Job], *, is_full: bool, patience: int
    ) -> bool:
        """Run the jobs in one transaction and note each one's outcome in it.

        Returns:
            False if the database is locked and *patience* (milliseconds) is 0: nothing has begun.
        """
        try:
            if is_full is not self._is_full:
                connection.pragma("synchronous", "full" if is_full else "normal")
                self._is_full = is_full
            connection.set_busy_timeout(patience)
            try:
                connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                if patience == 0:
                    return False
                raise
            for job in batch:
                _run_job(connection, job)
            begin = time.perf_counter()
            connection.execute("COMMIT")
            if is_full:
                self._note_flush(time.perf_counter() - begin)
        except Exception as error:  # the batch fails, the daemon goes on
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            logger.error("a commit of %d jobs failed: %s", len(batch), error)
            failure = translate(error)
            for job in batch:
                job.value = None
                job.error = failure
        return True

    def _note_flush(self, seconds: float) -> None:
        self._flush_seconds = max(seconds, (self._flush_seconds + seconds) / 2)


def _run_job(connection: apsw.Connection, job: Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.value = job.function(connection)
    except Exception as error:
        # A full disk or a failing one makes SQLite roll back the whole transaction by itself.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO job")
        if not isinstance(error, MailboxError):
            logger.error("a job failed: %r", error)
        job.error = translate(error)
    connection.execute("RELEASE job")


# What SQLite says, and what a person can do about it. Order matters: first match wins.
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (apsw.FullError, "The disk is full: free some space. Nothing was stored."),
    (
        apsw.ReadOnlyError,
        "The database cannot be written: check the permissions of the home folder. Nothing was"
        " stored.",
    ),
    (
        apsw.CorruptError,
        "The database is damaged: run 'claude-mailbox doctor'. Nothing was stored.",
    ),
    (
        apsw.BusyError,
        "Another program holds the database locked: end it and try again. Nothing was stored.",
    ),
    (
        apsw.IOError,
        "The disk cannot be read or written right now: check its space and health. Nothing was"
        " stored.",
    ),
)


def translate(error: Exception) -> MailboxError:
    """Return the error of the domain for what came out of SQLite or a job."""
    if isinstance(error, MailboxError):
        return error
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    return Unavailable(
        f"The database answered with an error ({type(error).__name__}): see the daemon's log."
        " Nothing was stored."
    )
