"""The one task that owns the database: it takes jobs from a bounded channel, and commits in batches.

A job is a function of a `Transaction`. The task takes all jobs that are queued, runs them in one
transaction, commits once, and only then answers them. If a job fails, the batch is run again with a
savepoint for each job. So a failing job fails alone, a failing commit fails its batch, and many
senders share one flush. A batch does not wait to fill up: the first job starts it.

A batch without a durable job commits without a flush. Claims, releases and presence are such jobs:
they survive a crash of the process, and if a power cut undoes them, a message is only delivered
again. The next durable commit flushes them, too.

When a flush fails, it is unknown what of the batch is stored, and earlier unflushed commits may be
lost as well. So every caller gets an error from then on, and the daemon ends; the next start recovers
what is stored (see sqlite/database.py).

A switch to the engine's thread and back takes longer than most jobs, so a batch of brief jobs runs on
the event loop. A batch that must be flushed does so only while the disk is quick: during a slow flush
the loop must accept the requests that will share the next one. If the database is locked, the task
waits for it on the thread.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import trio

from claude_mailbox.daemon.store.durations import Durations
from claude_mailbox.daemon.store.engine import Engine
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import DiskFailed, MailboxError, ShuttingDown, Unavailable
from claude_mailbox.refusals import OutcomeUnknown

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Back-pressure: with so many jobs queued, callers wait. It also bounds the length of a transaction.
QUEUE_LIMIT = 512

# Most jobs of a batch on the event loop, which take some milliseconds.
_IN_PLACE_JOBS = 64
# A disk is quick if the estimated time of a flush is below this. The last flush counts for half of
# the estimate, or in full if it was slow: after one of 20 ms the next five run on the thread.
_QUICK_SECONDS = 0.001
_UNPROVEN_SECONDS = 0.016

# After a failing job, so many batches use savepoints from the start: more jobs may fail.
_CAREFUL_BATCHES = 100

# After a conflict with another daemon a batch is tried again, at most so often and for so long.
_TRIES = 20
_TRY_SECONDS = 10.0


class Job:
    """A function of a transaction, and later its outcome."""

    __slots__ = ("brief", "done", "durable", "error", "function", "value")

    def __init__(
        self, function: Callable[[Transaction], object], *, durable: bool, brief: bool
    ) -> None:
        self.function = function
        self.durable = durable
        self.brief = brief
        self.value: object = None
        self.error: Exception | None = None
        self.done = trio.Event()


class Ledger:
    """Runs jobs: ``run`` queues one and waits for it, ``serve`` is the task."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flush_seconds = _UNPROVEN_SECONDS
        self._careful_batches = 0
        self._jobs, self._inbox = trio.open_memory_channel[Job](QUEUE_LIMIT)
        self._has_failed = False
        self.jobs = 0
        """How many jobs were queued in all."""
        self.flushes = Durations()
        """How long flushed commits took."""
        self.is_shared = engine.is_shared
        """Whether other daemons use the same database."""
        self.drained = trio.Event()
        """Set when ``serve`` has ended, and every job has its outcome."""

    def __repr__(self) -> str:
        waiting = self._jobs.statistics().current_buffer_used
        return f"<Ledger: {waiting} jobs waiting>"

    async def run(
        self,
        function: Callable[[Transaction], T],
        *,
        durable: bool = True,
        brief: bool = False,
    ) -> T:
        """Run *function* in a transaction; return its value after the commit.

        It can be cancelled until the job is queued, and not from then on, so that a caller always
        learns the outcome.

        Args:
            function: the job. If it raises, its changes are undone, and the error is raised here.
            durable: whether the changes must survive a power cut.
            brief: whether the job is short enough for the event loop.

        Raises:
            ShuttingDown: if the ledger is closed.
            Unavailable: if the database cannot be read or written, and nothing was stored; or if
                the task has failed.
            OutcomeUnknown: if the task failed during a durable job, which may be stored.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.jobs += 1
        job = Job(function, durable=durable, brief=brief)
        try:
            try:
                # Without ``send``, which always yields to other tasks.
                self._jobs.send_nowait(job)
            except trio.WouldBlock:
                await self._jobs.send(job)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            if self._has_failed:
                raise _failure() from None
            raise ShuttingDown("The daemon is shutting down: try again in a moment.") from None
        try:
            await job.done.wait()
        except trio.Cancelled:
            # Too late to cancel. A shield around the wait above would do the same, but slow down
            # every job. The cancellation is delivered at the next checkpoint.
            with trio.CancelScope(shield=True):
                await job.done.wait()
        if job.error is not None:
            raise job.error
        return job.value  # type: ignore[return-value]  # what this job's function returned

    def close(self) -> None:
        """Take no more jobs; ``serve`` finishes the queued ones and returns."""
        self._jobs.close()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run jobs until ``close`` is called and all queued ones are done.

        When it raises, all callers have got an error, and so will later ones; the daemon must end.

        Raises:
            DiskFailed: if a flush failed.
            Exception: any other error, which is a bug.
        """
        task_status.started()
        batch: list[Job] = []
        try:
            with trio.CancelScope(shield=True):
                async for job in self._inbox:
                    batch = [job, *self._queued()]
                    await self._commit_where_it_suits(batch)
                    for job in batch:
                        job.done.set()
                    await self._engine.upkeep()
        except BaseException as error:
            is_known = isinstance(error, DiskFailed)  # has a message for people
            logger.critical("the ledger has failed, so the daemon ends", exc_info=not is_known)
            self._has_failed = True
            self._refuse(batch, is_doubtful=is_known)
            while batch := self._queued():
                self._refuse(batch)
            raise
        finally:
            self._inbox.close()
            self.drained.set()

    def _queued(self) -> list[Job]:
        jobs: list[Job] = []
        try:
            while len(jobs) < QUEUE_LIMIT:
                jobs.append(self._inbox.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass
        return jobs

    def _refuse(self, batch: Sequence[Job], *, is_doubtful: bool = False) -> None:
        for job in batch:
            if not job.done.is_set():
                job.error = _doubt() if is_doubtful and job.durable else _failure()
                job.done.set()

    async def _commit_where_it_suits(self, batch: Sequence[Job]) -> None:
        flush, is_brief = False, True
        for job in batch:
            flush = flush or job.durable
            is_brief = is_brief and job.brief
        in_place = (
            self._engine.works_in_place
            and is_brief
            and len(batch) <= _IN_PLACE_JOBS
            and not (flush and self._flush_seconds > _QUICK_SECONDS)
        )
        if not (in_place and self._commit(batch, flush=flush, wait=False)):
            await self._engine.on_thread(lambda: self._commit(batch, flush=flush, wait=True))

    def _commit(self, batch: Sequence[Job], *, flush: bool, wait: bool) -> bool:
        """Run the jobs in one transaction, and set the outcome of each.

        Returns:
            False if the database is locked and *wait* is false; then nothing was done.

        Raises:
            DiskFailed: if it is unknown what is stored.
        """
        deadline: float | None = None
        tries = 1
        savepoints = len(batch) > 1 and self._careful_batches > 0
        self._careful_batches = max(0, self._careful_batches - 1)
        while True:
            try:
                transaction = self._engine.begin(flush=flush, wait=wait)
                if transaction is None:
                    return False
                if not self._run_all(transaction, batch, savepoints=savepoints):
                    self._engine.rollback()
                    savepoints = True
                    self._careful_batches = _CAREFUL_BATCHES
                    continue
                self._end(flush=flush)
            except self._engine.errors as error:
                if self._engine.may_retry(error) and tries < _TRIES:
                    tries += 1
                    now = time.perf_counter()
                    deadline = now + _TRY_SECONDS if deadline is None else deadline
                    if now < deadline:
                        self._engine.rollback()
                        continue
                # The batch fails, the daemon goes on.
                logger.error("a commit of %d jobs failed: %s", len(batch), error)
                for job in batch:
                    job.value = None
                    job.error = self._refusal(error, job)
                self._engine.rollback()
            return True

    def _run_all(self, transaction: Transaction, batch: Sequence[Job], *, savepoints: bool) -> bool:
        """Run the jobs; return False if one failed and the others must be run again."""
        if savepoints:
            for job in batch:
                self._run_in_savepoint(transaction, job)
            return True
        if all(self._run_job(transaction, job) for job in batch):
            return True
        if len(batch) > 1:
            return False
        # The only job failed, so there is nothing to commit.
        self._engine.rollback()
        return True

    def _end(self, *, flush: bool) -> None:
        if not self._engine.in_transaction:
            return
        if not flush:
            self._engine.commit()
            return
        started = time.perf_counter()
        self._engine.commit()
        took = time.perf_counter() - started
        self._note_flush(took)
        self.flushes.note(took)

    def _run_in_savepoint(self, transaction: Transaction, job: Job) -> None:
        self._engine.savepoint()
        if not self._run_job(transaction, job):
            self._engine.rollback_to_savepoint()
        self._engine.release_savepoint()

    def _run_job(self, transaction: Transaction, job: Job) -> bool:
        """Run a job and set its outcome; return False if its changes must be undone."""
        job.error = None
        try:
            job.value = job.function(transaction)
        except Exception as error:
            # A full or failing disk ends the whole transaction.
            if not self._engine.in_transaction or self._engine.may_retry(error):
                raise
            if not isinstance(error, MailboxError):
                logger.error("a job failed: %r", error)
            job.error = self._refusal(error, job)
            return False
        return True

    def _refusal(self, error: Exception, job: Job) -> MailboxError:
        """Return the error that the caller gets for one of the engine or of a job.

        Raises:
            DiskFailed: if it is unknown what is stored.
        """
        if isinstance(error, MailboxError):
            return error
        if isinstance(error, self._engine.errors):
            cause = self._engine.translate(error)
            if isinstance(cause, DiskFailed):
                raise cause from error
        else:
            name = type(error).__name__
            cause = Unavailable(f"The daemon has a bug here ({name}): see its log.")
        # Durable jobs store something; others only read or claim.
        return Unavailable(f"{cause} Nothing was stored.") if job.durable else cause

    def _note_flush(self, seconds: float) -> None:
        self._flush_seconds = max(seconds, (self._flush_seconds + seconds) / 2)


def _failure() -> Unavailable:
    return Unavailable("The daemon has failed and is ending: try again in a moment.")


def _doubt() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The disk failed, and nobody knows whether this was stored: try again when the daemon has"
        " been started again. A send with the same idempotencyKey is stored only once."
    )
