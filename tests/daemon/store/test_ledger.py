"""The one task that owns the database: batches, failures, shutdown."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import apsw
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.store import ledger
from claude_mailbox.daemon.store.ledger import QUEUE_LIMIT, Ledger, translate
from claude_mailbox.daemon.store.sqlite.schema import open_database
from claude_mailbox.errors import BadRequest, MailboxError, QuotaFull, ShuttingDown, Unavailable
from daemon.store.disk import Disk, watched_disk


def add(name: str) -> Callable[[apsw.Connection], str]:
    """Return a job that makes a mailbox and returns its name."""

    def job(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO mailbox (name, created_at) VALUES (?, 1)", (name,))
        return name

    return job


def orphan(connection: apsw.Connection) -> None:
    """Make an alias of a mailbox that is not there; SQLite notices at the commit."""
    connection.pragma("defer_foreign_keys", True)
    connection.execute("INSERT INTO alias (name, mailbox_id) VALUES ('orphan', 999)")


def names(connection: apsw.Connection) -> list[str]:
    """Return the mailboxes, as a job or from any connection."""
    return [name for (name,) in connection.execute("SELECT name FROM mailbox ORDER BY id")]


class Thread:
    """A runner that is held up until it is let go, and notes the batches.

    Attributes:
        rounds: how many batches there were.
        places: of each, whether it was to run in place.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.gate = trio.Event()
        self.gate.set()
        self.rounds = 0
        self.places: list[bool] = []

    async def __call__(
        self, function: Callable[[apsw.Connection], object], *, in_place: bool = False
    ) -> object:
        """Run the batch once the gate is open."""
        self.rounds += 1
        self.places.append(in_place)
        if in_place:
            return function(self.connection)
        with trio.CancelScope(shield=True):
            await self.gate.wait()
            await trio.lowlevel.checkpoint()
            return function(self.connection)

    def hold(self) -> None:
        """Let the next batch wait."""
        self.gate = trio.Event()


class Bench:
    """A ledger at work."""

    def __init__(self, thread: Thread, nursery: trio.Nursery) -> None:
        self.thread = thread
        self.ledger = Ledger(thread)  # type: ignore[arg-type]
        self.nursery = nursery
        self.outcomes: list[object] = []

    @property
    def connection(self) -> apsw.Connection:
        """The database, for a look from outside of the task."""
        return self.thread.connection

    async def note(
        self,
        job: Callable[[apsw.Connection], object],
        *,
        durable: bool = True,
        brief: bool = False,
    ) -> None:
        """Run a job and note what it returned, or the name of what it raised."""
        try:
            self.outcomes.append(await self.ledger.run(job, durable=durable, brief=brief))
        except MailboxError as error:
            self.outcomes.append(type(error).__name__)

    async def together(
        self, *jobs: Callable[[apsw.Connection], object], durable: Sequence[bool] = ()
    ) -> list[object]:
        """Run jobs in one batch, in this order; return the outcomes in the order of answering."""
        self.thread.hold()
        first = self.thread.rounds
        async with trio.open_nursery() as nursery:
            # This one keeps the task busy while the others queue up.
            nursery.start_soon(partial(self.ledger.run, names, durable=False))
            await wait_all_tasks_blocked()
            for job, wish in zip(jobs, durable or [True] * len(jobs), strict=True):
                nursery.start_soon(partial(self.note, job, durable=wish))
                await wait_all_tasks_blocked()
            self.thread.gate.set()
        assert self.thread.rounds == first + 2, "not one batch"
        return self.outcomes


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk below the ledger's database."""
    with watched_disk() as disk:
        yield disk


@pytest.fixture
async def bench(scratch: Path, disk: Disk, nursery: trio.Nursery) -> AsyncIterator[Bench]:
    """A ledger on a database in a file."""
    connection = open_database(str(scratch / "mailbox.db"))
    bench = Bench(Thread(connection), nursery)
    await nursery.start(bench.ledger.serve)
    yield bench
    bench.ledger.close()
    with trio.CancelScope(shield=True):
        await bench.ledger.drained.wait()
    connection.close()


class TestJobs:
    async def test_returns_what_the_job_returns(self, bench: Bench) -> None:
        """And it is committed by then: another connection sees it."""
        assert await bench.ledger.run(add("a")) == "a"
        assert not bench.connection.in_transaction
        other = apsw.Connection(bench.connection.filename)
        assert names(other) == ["a"]
        other.close()

    async def test_jobs_run_in_the_order_of_asking(self, bench: Bench) -> None:
        """Across batches as well as within one."""
        await bench.ledger.run(add("0"))
        await bench.together(*[add(str(number)) for number in range(1, 50)])
        assert names(bench.connection) == [str(number) for number in range(50)]

    async def test_many_jobs_share_a_commit(self, bench: Bench) -> None:
        """A hundred that wait together cost one round."""
        assert sorted(await bench.together(*[add(str(n)) for n in range(100)])) == sorted(
            str(n) for n in range(100)
        )

    async def test_repr_tells_the_queue(self, bench: Bench) -> None:
        """Jobs that wait are counted."""
        bench.thread.hold()
        bench.nursery.start_soon(bench.ledger.run, names)
        await wait_all_tasks_blocked()
        bench.nursery.start_soon(bench.ledger.run, names)
        await wait_all_tasks_blocked()
        assert repr(bench.ledger) == "<Ledger: 1 jobs waiting>"
        bench.thread.gate.set()


class TestFailingJobs:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (BadRequest("x"), "BadRequest"),
            (QuotaFull("x"), "QuotaFull"),
            (ZeroDivisionError(), "Unavailable"),
            (apsw.ConstraintError(), "Unavailable"),
        ],
    )
    async def test_fail_alone(self, bench: Bench, error: Exception, outcome: str) -> None:
        """The one in the middle is undone and told; its neighbors never notice."""

        def fail(connection: apsw.Connection) -> None:
            add("undone")(connection)
            raise error

        outcomes = await bench.together(add("a"), fail, add("b"))
        assert sorted(map(str, outcomes)) == sorted([outcome, "a", "b"])
        assert names(bench.connection) == ["a", "b"]

    async def test_errors_of_the_domain_keep_their_words(self, bench: Bench) -> None:
        """What a job raises, its caller gets."""

        def fail(connection: apsw.Connection) -> None:
            raise QuotaFull("full up")

        with pytest.raises(QuotaFull, match="full up"):
            await bench.ledger.run(fail)

    async def test_a_surprise_is_logged_and_translated(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The caller gets a sentence, the log the cause."""
        with pytest.raises(Unavailable, match=r"ZeroDivisionError.*Nothing was stored"):
            await bench.ledger.run(lambda connection: 1 // 0)
        assert "ZeroDivisionError" in caplog.text

    async def test_a_failed_write_is_invisible_outside(self, bench: Bench) -> None:
        """Neither during the job nor after it does another connection see anything."""
        other = apsw.Connection(bench.connection.filename)
        seen: list[list[str]] = []

        def fail(connection: apsw.Connection) -> None:
            add("ghost")(connection)
            seen.append(names(other))
            raise BadRequest("x")

        with pytest.raises(BadRequest):
            await bench.ledger.run(fail)
        seen.append(names(other))
        assert seen == [[], []]
        other.close()


class TestFailingCommits:
    async def test_a_failing_commit_fails_its_batch_and_no_other(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All of it is undone, each caller is told, and the next batch is fine."""
        outcomes = await bench.together(add("a"), orphan, add("b"))
        assert outcomes == ["Unavailable"] * 3
        assert names(bench.connection) == []
        assert "commit of 3 jobs failed" in caplog.text
        assert "Traceback" not in caplog.text
        assert await bench.ledger.run(add("c")) == "c"
        assert names(bench.connection) == ["c"]

    async def test_a_full_disk(self, bench: Bench) -> None:
        """The sentence says so; when there is room again, everything goes on."""
        await bench.ledger.run(add("before"))
        pages = bench.connection.pragma("page_count")
        bench.connection.pragma("max_page_count", pages)
        with pytest.raises(Unavailable, match="disk is full: free some space"):
            await bench.ledger.run(add("x" * 100_000))
        assert names(bench.connection) == ["before"]
        bench.connection.pragma("max_page_count", 2**30)
        await bench.ledger.run(add("after"))
        assert names(bench.connection) == ["before", "after"]

    async def test_a_full_disk_in_one_job_spares_the_others_or_tells_them(
        self, bench: Bench
    ) -> None:
        """Whatever SQLite undoes: who was told of success is there, who was not is not."""
        bench.connection.pragma("max_page_count", bench.connection.pragma("page_count"))
        outcomes = await bench.together(add("a"), add("x" * 100_000), add("b"))
        stored = names(bench.connection)
        assert sorted(map(str, outcomes)) == sorted([*stored, *["Unavailable"] * (3 - len(stored))])
        assert "x" * 100_000 not in stored

    async def test_a_database_that_is_read_only(self, bench: Bench) -> None:
        """The sentence says what to look at."""
        bench.connection.pragma("query_only", True)
        with pytest.raises(Unavailable, match="cannot be written: check the permissions"):
            await bench.ledger.run(add("a"))
        bench.connection.pragma("query_only", False)
        assert await bench.ledger.run(names) == []

    async def test_a_database_that_another_program_holds(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When patience ends the caller is told; later jobs are fine."""
        monkeypatch.setattr(ledger, "_PATIENCE_MS", 1)
        other = apsw.Connection(bench.connection.filename)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="Another program holds the database"):
            await bench.ledger.run(add("a"))
        other.execute("ROLLBACK")
        other.close()
        assert await bench.ledger.run(add("c")) == "c"

    async def test_a_runner_that_breaks(self, bench: Bench, caplog) -> None:
        """Callers are told instead of waiting for ever."""
        connection, bench.thread.connection = bench.connection, None  # type: ignore[assignment]
        with pytest.raises(Unavailable, match="AttributeError"):
            await bench.ledger.run(names)
        bench.thread.connection = connection
        assert await bench.ledger.run(names) == []

    @pytest.mark.parametrize("failure", [apsw.FullError, apsw.IOError])
    async def test_a_disk_that_fails_to_write(
        self, bench: Bench, disk: Disk, failure: type[apsw.Error]
    ) -> None:
        """A write that fails below SQLite, at the commit, fails the batch and nothing else."""
        disk.failure = failure
        assert await bench.together(add("a"), add("b")) == ["Unavailable"] * 2
        disk.failure = None
        assert names(bench.connection) == []
        assert await bench.ledger.run(add("c")) == "c"
        assert names(bench.connection) == ["c"]


class TestDurability:
    @pytest.mark.parametrize(
        ("durable", "syncs"),
        [([True], 1), ([False], 0), ([False, True, False], 1), ([False, False], 0)],
    )
    async def test_one_sync_a_batch_and_none_without_need(
        self, bench: Bench, disk: Disk, durable: Sequence[bool], syncs: int
    ) -> None:
        """The journal is synced once when any job of the batch asks for it, in any sequence."""
        for turn in range(3):
            await bench.ledger.run(add(f"durable {turn}"))
            disk.syncs.clear()
            jobs = [add(f"{turn}.{at}") for at in range(len(durable))]
            await bench.together(*jobs, durable=durable)
            assert disk.syncs["-wal"] == syncs
        assert len(names(bench.connection)) == 3 + 3 * len(durable)


class Clock:
    """Stands for ``time`` in the ledger's eyes: every flush takes what the test says."""

    def __init__(self) -> None:
        self.flush = 0.0
        self._now = 0.0

    def perf_counter(self) -> float:
        """Return seconds; each reading is one flush later than the last."""
        self._now += self.flush
        return self._now


class TestInPlace:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """How long the ledger sees its flushes take."""
        clock = Clock()
        monkeypatch.setattr(ledger, "time", clock)
        return clock

    async def place(self, bench: Bench, *, durable: bool = False, brief: bool = True) -> bool:
        """Run a job alone; return whether it was done in place."""
        await bench.ledger.run(names, durable=durable, brief=brief)
        return bench.thread.places[-1]

    async def test_a_brief_job_that_needs_no_flush(self, bench: Bench) -> None:
        """It never sees the thread; one that may take long does."""
        assert await self.place(bench)
        assert not await self.place(bench, brief=False)

    @pytest.mark.parametrize(
        ("count", "long", "in_place"), [(64, 0, True), (65, 0, False), (2, 1, False)]
    )
    async def test_a_batch_is_done_in_one_place(
        self, bench: Bench, count: int, long: int, in_place: bool
    ) -> None:
        """In place if that keeps the event loop for a moment only; all of it is done anyhow."""
        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            for number in range(count):
                brief = number >= long
                nursery.start_soon(
                    partial(bench.note, add(str(number)), durable=False, brief=brief)
                )
            await wait_all_tasks_blocked()
            bench.thread.gate.set()
        assert bench.thread.places == [False, in_place]
        assert len(names(bench.connection)) == len(bench.outcomes) == count

    async def test_a_disk_must_prove_quick_before_it_flushes_in_place(
        self, bench: Bench, clock: Clock
    ) -> None:
        """Some quick flushes on the thread do; what needs no flush does not wait for that."""
        places = [await self.place(bench, durable=True) for _ in range(6)]
        assert places == [False] * 4 + [True] * 2
        assert await self.place(bench)

    async def test_a_slow_flush_goes_back_to_the_thread(self, bench: Bench, clock: Clock) -> None:
        """At once, and until the disk has proved quick again."""
        for _ in range(5):
            await self.place(bench, durable=True)
        clock.flush = 0.020
        assert await self.place(bench, durable=True), "it could not know"
        assert not await self.place(bench, durable=True)
        clock.flush = 0.0001
        places = [await self.place(bench, durable=True) for _ in range(8)]
        assert places == [False] * 5 + [True] * 3
        clock.flush = 0.002
        assert [await self.place(bench, durable=True) for _ in range(5)] == [True] + [False] * 4

    async def test_nobody_waits_in_place_for_another_program(self, bench: Bench) -> None:
        """With the database locked the batch begins anew on the thread, and is done once."""
        other = apsw.Connection(bench.connection.filename)
        other.execute("BEGIN IMMEDIATE")
        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(bench.note, add("a"), durable=False, brief=True))
            await wait_all_tasks_blocked()
            assert bench.thread.places == [True, False]
            other.execute("ROLLBACK")
            bench.thread.gate.set()
        other.close()
        assert bench.outcomes == names(bench.connection) == ["a"]

    async def test_a_failing_job_fails_alone_in_place_too(self, bench: Bench) -> None:
        """The place changes nothing about the outcome."""

        def fail(connection: apsw.Connection) -> None:
            add("undone")(connection)
            raise BadRequest("x")

        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            for job in (add("a"), fail, add("b")):
                nursery.start_soon(partial(bench.note, job, durable=False, brief=True))
                await wait_all_tasks_blocked()
            bench.thread.gate.set()
        assert bench.thread.places == [False, True]
        assert sorted(map(str, bench.outcomes)) == ["BadRequest", "a", "b"]
        assert names(bench.connection) == ["a", "b"]

    async def test_upkeep_follows_each_answer(self, bench: Bench) -> None:
        """The file is looked after when the callers have their answers, not before."""
        answered: list[bool] = []
        job_is_done = trio.Event()

        async def upkeep() -> None:
            answered.append(job_is_done.is_set())

        second = Ledger(bench.thread, upkeep)  # type: ignore[arg-type]
        await bench.nursery.start(second.serve)
        await second.run(lambda connection: job_is_done.set())
        second.close()
        await second.drained.wait()
        assert answered == [True]


class TestLeaving:
    async def test_who_left_while_queuing_never_asked(self, bench: Bench) -> None:
        """With the queue full, a cancelled caller's job is not run."""
        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            for _ in range(QUEUE_LIMIT):
                nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            with trio.move_on_after(0) as scope:
                await bench.ledger.run(add("never"))
            assert scope.cancelled_caught
            bench.thread.gate.set()
        assert names(bench.connection) == []

    async def test_who_left_later_learns_the_outcome_all_the_same(self, bench: Bench) -> None:
        """Once queued, the write stands, and its caller sees it before he leaves."""
        bench.thread.hold()
        outcomes: list[str] = []
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                outcomes.append(await bench.ledger.run(add("a")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert outcomes == []
            bench.thread.gate.set()
        assert outcomes == names(bench.connection) == ["a"]


class TestClosing:
    async def test_what_is_queued_is_still_done(self, bench: Bench) -> None:
        """Closing drains; only then does the task end."""
        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(bench.note, add(name))
            await wait_all_tasks_blocked()
            bench.ledger.close()
            await wait_all_tasks_blocked()
            assert not bench.ledger.drained.is_set()
            bench.thread.gate.set()
        await bench.ledger.drained.wait()
        assert set(bench.outcomes) == set(names(bench.connection))
        assert len(bench.outcomes) == 3

    async def test_who_still_waits_to_queue_is_told(self, bench: Bench) -> None:
        """Closing wakes those whom a full queue kept out; nobody hangs."""
        bench.thread.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            for _ in range(QUEUE_LIMIT):
                nursery.start_soon(bench.ledger.run, names)
            await wait_all_tasks_blocked()
            for _ in range(3):
                nursery.start_soon(bench.note, add("late"))
            await wait_all_tasks_blocked()
            bench.ledger.close()
            bench.thread.gate.set()
        assert bench.outcomes == ["ShuttingDown"] * 3
        assert names(bench.connection) == []

    async def test_later_use_is_refused(self, bench: Bench) -> None:
        """With the error that becomes a 503; closing twice does no harm."""
        bench.ledger.close()
        bench.ledger.close()
        await bench.ledger.drained.wait()
        with pytest.raises(ShuttingDown, match="try again"):
            await bench.ledger.run(names)

    async def test_cancelling_the_task_does_not_stop_it(self, scratch: Path) -> None:
        """Only closing does: whoever was promised an answer gets one."""
        connection = open_database(str(scratch / "mailbox.db"))
        ledger = Ledger(Thread(connection))  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await ledger.run(add("a")) == "a"
            ledger.close()
        assert ledger.drained.is_set()
        connection.close()


class TestTranslation:
    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (apsw.FullError(), "disk is full"),
            (apsw.ReadOnlyError(), "cannot be written"),
            (apsw.CorruptError(), "damaged"),
            (apsw.BusyError(), "Another program"),
            (apsw.IOError(), "disk cannot be read"),
            (apsw.SQLError("near x"), "SQLError"),
            (KeyError("x"), "KeyError"),
        ],
    )
    def test_each_says_what_to_do_and_that_nothing_was_stored(
        self, error: Exception, words: str
    ) -> None:
        """Every one is a 503 that asks to come back."""
        translated = translate(error)
        assert translated.status == 503
        assert translated.retry_after
        assert words in str(translated)
        assert str(translated).endswith("Nothing was stored.")

    def test_our_own_stay(self) -> None:
        """Errors of the domain pass unchanged."""
        error = QuotaFull("x")
        assert translate(error) is error


async def test_nothing_is_logged_for_errors_of_the_domain(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is an answer, not an incident."""
    caplog.set_level(logging.DEBUG, "claude_mailbox")

    def refuse(connection: apsw.Connection) -> None:
        raise BadRequest("x")

    assert await bench.together(refuse) == ["BadRequest"]
    assert caplog.text == ""
