"""The one task that owns the database: jobs in over a bounded channel, one commit per batch.

A job is a function of a `Transaction`. The task takes what has queued up, runs the jobs in one
transaction, commits once, and only then answers all of them. When a job fails, the batch is begun
anew with a savepoint for each. So a failing job fails alone, a failing commit fails its batch, and
many senders share one flush. Nobody waits for a batch to fill: the first job starts it.

A batch in which no job asks for durability commits without a flush. Such are claims, releases and
presence: after a crash of the process they are there all the same, and after a power cut their
loss only puts a message back in line. The next durable commit writes them out, too.

When a flush fails nobody knows what of the batch is stored, and what other commits left to that
flush may be lost as well. So nothing is answered from then on but that, and the daemon ends: the
next start recovers what there is (see sqlite/database.py).

A hop onto the engine's thread and back costs more than most jobs, so a batch of brief jobs is
done in place, on the event loop. What nearly every request waits for is the ledger anyway. A
batch that must be flushed is done in place only while the disk proves quick: a slow flush must
not keep the loop from taking in the requests that share the next one. And whoever holds the
database locked is waited for on the thread.
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

# Back-pressure: a sender waits in its request when this many jobs are queued. It also bounds
# the length of one transaction, which is what a single sender waits for at most.
QUEUE_LIMIT = 512

# How many brief jobs are done in place at most: some milliseconds of the event loop.
_IN_PLACE_JOBS = 64
# A disk that flushes within this is quick. Each flush counts for half of the estimate, but a slow
# one at once, in full: so one hiccup of 20 ms costs five flushes on the thread.
_QUICK_SECONDS = 0.001
_UNPROVEN_SECONDS = 0.016

# Where one job failed, others will: so many batches after it are done in savepoints at once.
_CAREFUL_BATCHES = 100

# A batch that meets other daemons in its way is begun anew, so often and for so long at most.
_TRIES = 20
_TRY_SECONDS = 10.0


class Job:
    """A function of a transaction, and in time its outcome."""

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
    """Front of the task: ``run`` hands a job in, ``serve`` is the task itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flush_seconds = _UNPROVEN_SECONDS
        self._careful_batches = 0
        self._jobs, self._inbox = trio.open_memory_channel[Job](QUEUE_LIMIT)
        self._has_failed = False
        self.jobs = 0
        """How many jobs it has been given."""
        self.flushes = Durations()
        """How long the flushed commits took."""
        self.is_shared = engine.is_shared
        """Whether other daemons change what is in the database."""
        self.drained = trio.Event()
        """Set when ``serve`` has ended: everybody who ran a job has its outcome."""

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
        """Run *function* in a transaction and return its value after the commit.

        Cancellation counts until the job is queued; from then on the wait is shielded, so that a
        caller never misses the outcome of something that happened.

        Args:
            function: the job; what it raises, it raises here, and its changes are undone.
            durable: whether the answer must survive a power cut.
            brief: whether the job takes so little time that the event loop may do it.

        Raises:
            ShuttingDown: if the ledger is closed.
            Unavailable: if the database cannot be read or written, and nothing was stored; or if
                the task has failed.
            OutcomeUnknown: if it failed in the middle of a durable job, which may be stored.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self.jobs += 1
        job = Job(function, durable=durable, brief=brief)
        try:
            try:
                # Without the turn of the event loop that ``send`` takes to be fair.
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
            # It can no longer be called back. A shield from the start would do the same, and cost
            # every job what only these have to pay; the cancellation comes at the next checkpoint.
            with trio.CancelScope(shield=True):
                await job.done.wait()
        if job.error is not None:
            raise job.error
        return job.value  # type: ignore[return-value]  # what this job's function returned

    def close(self) -> None:
        """Take no more jobs; ``serve`` finishes those it has, and returns."""
        self._jobs.close()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until ``close`` is called and everything queued is done.

        All callers have been told when it raises, and later ones will be: the daemon must end.

        Raises:
            DiskFailed: if a flush failed.
            Exception: what is not the database's failure is a bug.
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
            is_known = isinstance(error, DiskFailed)  # it has a sentence for people
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
        """Run the jobs in one transaction and note each one's outcome in it.

        Returns:
            False if the database is locked and we are not to *wait*: nothing has begun.

        Raises:
            DiskFailed: if nobody knows what of it is stored.
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
        """Run the jobs; return False if one failed, and what others did must be done anew."""
        if savepoints:
            for job in batch:
                self._run_in_savepoint(transaction, job)
            return True
        if all(self._run_job(transaction, job) for job in batch):
            return True
        if len(batch) > 1:
            return False
        # With the only job of a transaction the transaction is over.
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
        """Run a job and note its outcome; return whether its changes are to stay."""
        job.error = None
        try:
            job.value = job.function(transaction)
        except Exception as error:
            # A full disk or a failing one ends the whole transaction by itself.
            if not self._engine.in_transaction or self._engine.may_retry(error):
                raise
            if not isinstance(error, MailboxError):
                logger.error("a job failed: %r", error)
            job.error = self._refusal(error, job)
            return False
        return True

    def _refusal(self, error: Exception, job: Job) -> MailboxError:
        """Return the error of the domain for what came out of the engine or a job.

        Raises:
            DiskFailed: if that is what it means.
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
        # Whoever wants something durable wants to store; others only look or take.
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
