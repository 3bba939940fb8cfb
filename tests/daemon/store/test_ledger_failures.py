"""What callers learn when a job, a commit or the whole task fails."""

import logging
from functools import partial
from pathlib import Path
from typing import NoReturn

import apsw
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.store.ledger import QUEUE_LIMIT
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite import engine as sqlite_engine
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.errors import BadRequest, DiskFailed, QuotaFull, Unavailable
from daemon.store.harness import Harness, ObservedEngine, add, look, stored
from daemon.store.sqlite.disk import Disk


class TestFailingJob:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (BadRequest("x"), "BadRequest"),
            (QuotaFull("x"), "QuotaFull"),
            (ZeroDivisionError(), "Unavailable"),
            (apsw.ConstraintError(), "Unavailable"),
        ],
    )
    async def test_fails_alone(self, harness: Harness, error: Exception, outcome: str) -> None:
        """The one in the middle is undone and told; the others of its batch succeed."""

        def fail(transaction: Transaction) -> None:
            add("undone")(transaction)
            raise error

        outcomes = await harness.together(add("a"), fail, add("b"))
        assert sorted(map(str, outcomes)) == sorted([outcome, "a", "b"])
        assert harness.stored() == ["a", "b"]

    async def test_an_error_of_the_domain_passes_unchanged_and_unlogged(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A refusal is an answer, not an incident."""
        caplog.set_level(logging.DEBUG, "claude_mailbox")
        error = QuotaFull("full up")

        def refuse(transaction: Transaction) -> None:
            raise error

        with pytest.raises(QuotaFull) as caught:
            await harness.ledger.run(refuse)
        assert caught.value is error
        assert caplog.text == ""

    async def test_any_other_error_is_logged_and_translated(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The caller gets a sentence, the log the cause."""
        with pytest.raises(Unavailable, match=r"ZeroDivisionError.*Nothing was stored"):
            await harness.ledger.run(lambda transaction: 1 // 0)
        assert "ZeroDivisionError" in caplog.text

    async def test_its_writes_are_invisible_to_other_connections(self, harness: Harness) -> None:
        """During the job as well as after it."""
        other = apsw.Connection(harness.connection.filename)
        seen: list[list[str]] = []

        def fail(transaction: Transaction) -> None:
            add("undone")(transaction)
            seen.append(stored(other))
            raise BadRequest("x")

        with pytest.raises(BadRequest):
            await harness.ledger.run(fail)
        seen.append(stored(other))
        assert seen == [[], []]
        other.close()


class TestFailingCommit:
    async def test_fails_its_batch_and_no_other(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All of it is undone, each caller is told, and the next batch is fine."""

        def orphan(transaction: Transaction) -> None:
            # SQLite notices at the commit that there is no such mailbox.
            harness.connection.pragma("defer_foreign_keys", True)
            harness.connection.execute("INSERT INTO alias (name, mailbox_id) VALUES ('x', 999)")

        outcomes = await harness.together(add("a"), orphan, add("b"))
        assert outcomes == ["Unavailable"] * 3
        assert harness.stored() == []
        assert "commit of 3 jobs failed" in caplog.text
        assert "Traceback" not in caplog.text
        assert await harness.ledger.run(add("c")) == "c"
        assert harness.stored() == ["c"]

    async def test_a_full_disk(self, harness: Harness) -> None:
        """The sentence says so; when there is room again, everything goes on."""
        await harness.ledger.run(add("before"))
        pages = harness.connection.pragma("page_count")
        harness.connection.pragma("max_page_count", pages)
        with pytest.raises(Unavailable, match="disk is full: free some space"):
            await harness.ledger.run(add("x" * 100_000))
        assert harness.stored() == ["before"]
        harness.connection.pragma("max_page_count", 2**30)
        await harness.ledger.run(add("after"))
        assert harness.stored() == ["before", "after"]

    async def test_jobs_with_a_value_are_stored_and_jobs_with_an_error_are_not(
        self, harness: Harness
    ) -> None:
        """When a job fills the disk, whatever SQLite undoes by itself."""
        harness.connection.pragma("max_page_count", harness.connection.pragma("page_count"))
        outcomes = await harness.together(add("a"), add("x" * 100_000), add("b"))
        there = harness.stored()
        assert sorted(map(str, outcomes)) == sorted([*there, *["Unavailable"] * (3 - len(there))])
        assert "x" * 100_000 not in there

    async def test_a_database_that_is_read_only(self, harness: Harness) -> None:
        harness.connection.pragma("query_only", True)
        with pytest.raises(Unavailable, match="cannot be written: check its permissions"):
            await harness.ledger.run(add("a"))
        harness.connection.pragma("query_only", False)
        assert await harness.ledger.run(add("a")) == "a"
        assert harness.stored() == ["a"]

    async def test_a_database_that_another_program_holds_locked(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the wait ends the caller is told; later jobs are fine."""
        monkeypatch.setattr(sqlite_engine, "_LOCK_WAIT_MS", 1)
        other = apsw.Connection(harness.connection.filename)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="Another program holds the database"):
            await harness.ledger.run(add("a"))
        other.execute("ROLLBACK")
        other.close()
        assert await harness.ledger.run(add("c")) == "c"

    @pytest.mark.parametrize("failure", [apsw.FullError, apsw.IOError])
    async def test_a_disk_that_fails_to_write(
        self, harness: Harness, disk: Disk, failure: type[apsw.Error]
    ) -> None:
        """A write that fails below SQLite, at the commit, fails the batch and nothing else."""
        disk.failure = failure
        assert await harness.together(add("a"), add("b")) == ["Unavailable"] * 2
        disk.failure = None
        assert harness.stored() == []
        assert await harness.ledger.run(add("c")) == "c"
        assert harness.stored() == ["c"]

    @pytest.mark.parametrize(("durable", "words"), [(True, "Nothing was stored."), (False, "")])
    async def test_only_durable_jobs_are_told_that_nothing_was_stored(
        self, harness: Harness, durable: bool, words: str
    ) -> None:
        def fail(transaction: Transaction) -> NoReturn:
            raise apsw.FullError

        with pytest.raises(Unavailable) as caught:
            await harness.ledger.run(fail, durable=durable)
        assert str(caught.value) == f"The disk is full: free some space. {words}".strip()


class TestFailingFlush:
    async def test_ends_the_task_and_makes_durable_jobs_doubtful(
        self, scratch: Path, disk: Disk, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The others are told that the daemon ends; so are all who come later."""
        engine = ObservedEngine(open_database(str(scratch / "mailbox.db")))
        harness = Harness(engine)
        disk.unsyncable = {"-wal"}
        async with trio.open_nursery() as nursery:
            for durable in (True, False):
                nursery.start_soon(partial(harness.note, add("a"), durable=durable))
            await wait_all_tasks_blocked()
            with pytest.raises(DiskFailed, match="check the disk"):
                await harness.ledger.serve()
        assert sorted(map(str, harness.outcomes)) == ["OutcomeUnknown", "Unavailable"]
        with pytest.raises(Unavailable, match="failed and is ending: try again"):
            await harness.ledger.run(look)
        assert "the ledger has failed" in caplog.text
        assert "Traceback" not in caplog.text
        await engine.close()

    async def test_nothing_is_written_back_afterwards(self, scratch: Path, disk: Disk) -> None:
        """Not even at the end: the journal may be on the disk in part."""
        path, journal = scratch / "mailbox.db", scratch / "mailbox.db-wal"
        engine = ObservedEngine(open_database(str(path)))
        harness = Harness(engine)
        before = path.read_bytes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.note, add("a"))
            await wait_all_tasks_blocked()
            disk.unsyncable = {"-wal"}
            with pytest.raises(DiskFailed):
                await harness.ledger.serve()
        disk.unsyncable = set()
        await engine.close()
        assert path.read_bytes() == before
        assert journal.stat().st_size


class TestFailingTask:
    """An error that is not the database's: a bug, or a thread that died."""

    @pytest.mark.parametrize("method", ["begin", "savepoint", "commit", "on_thread", "upkeep"])
    async def test_ends_and_tells_every_caller(
        self,
        scratch: Path,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        method: str,
    ) -> None:
        """Those in the batch, in the queue, before the full queue, and all who come later."""
        engine = ObservedEngine(open_database(str(scratch / "mailbox.db")))
        harness = Harness(engine)

        def fail(*arguments: object, **options: object) -> NoReturn:
            raise RuntimeError("a surprise")

        def refuse(transaction: Transaction) -> NoReturn:
            raise BadRequest("x")

        async def serve() -> None:
            with pytest.raises(RuntimeError, match="a surprise"):
                await harness.ledger.serve()

        engine.worker.hold()
        async with trio.open_nursery() as nursery:
            # A batch has savepoints when one of its jobs has failed.
            jobs = [refuse] if method == "savepoint" else []
            for job in [*jobs, *[look] * (QUEUE_LIMIT + 3)][: QUEUE_LIMIT + 3]:
                nursery.start_soon(harness.note, job)
                await wait_all_tasks_blocked()
            monkeypatch.setattr(engine, method, fail)
            nursery.start_soon(serve)
            await wait_all_tasks_blocked()
            engine.worker.is_free.set()
        # Upkeep comes after the first batch, whose callers have their answers.
        answered = QUEUE_LIMIT + 1 if method == "upkeep" else 0
        assert harness.outcomes.count(0) == answered
        assert harness.outcomes.count("Unavailable") == QUEUE_LIMIT + 3 - answered
        with pytest.raises(Unavailable, match="failed and is ending: try again") as caught:
            await harness.ledger.run(look)
        assert caught.value.retry_after
        assert "a surprise" in caplog.text
        assert harness.ledger.drained.is_set()
        monkeypatch.undo()
        await engine.close()

    async def test_stores_nothing_of_the_batch(
        self, scratch: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When it fails before the commit."""
        path = str(scratch / "mailbox.db")
        engine = ObservedEngine(open_database(path))
        harness = Harness(engine)
        monkeypatch.setattr(engine, "commit", lambda: 1 // 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.note, add("a"))
            await wait_all_tasks_blocked()
            with pytest.raises(ZeroDivisionError):
                await harness.ledger.serve()
        await engine.close()
        assert harness.outcomes == ["Unavailable"]
        connection = open_database(path)
        assert stored(connection) == []
        connection.close()
