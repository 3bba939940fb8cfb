"""The one task that owns the database: batches, durability, leaving and closing."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import apsw
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.store.ledger import QUEUE_LIMIT, Ledger
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.errors import ShuttingDown
from daemon.store.harness import Harness, ObservedEngine, add, look, stored
from daemon.store.sqlite.disk import Disk


async def fill_queue(harness: Harness, nursery: trio.Nursery) -> None:
    """Keep the ledger busy and its queue full."""
    await harness.start_batch(nursery)
    for _ in range(QUEUE_LIMIT):
        nursery.start_soon(harness.ledger.run, look)
    await wait_all_tasks_blocked()


class TestRun:
    async def test_the_value_comes_after_the_commit(self, harness: Harness) -> None:
        """By then another connection sees what was stored."""
        assert await harness.ledger.run(add("a")) == "a"
        assert not harness.connection.in_transaction
        other = apsw.Connection(harness.connection.filename)
        assert stored(other) == ["a"]
        other.close()

    async def test_jobs_run_in_the_order_of_asking(self, harness: Harness) -> None:
        """Across batches as well as within one."""
        await harness.ledger.run(add("0"))
        await harness.together(*[add(str(number)) for number in range(1, 50)])
        assert harness.stored() == [str(number) for number in range(50)]

    async def test_jobs_that_wait_together_share_a_commit(self, harness: Harness) -> None:
        """``together`` fails if they do not."""
        names = [str(number) for number in range(100)]
        assert sorted(await harness.together(*map(add, names))) == sorted(names)

    async def test_upkeep_follows_each_answer(self, harness: Harness) -> None:
        """The file is looked after when the callers have their answers, not before."""
        answered: list[bool] = []
        job_is_done = trio.Event()
        engine_upkeep = harness.engine.upkeep

        async def upkeep() -> None:
            answered.append(job_is_done.is_set())
            await engine_upkeep()

        harness.engine.upkeep = upkeep  # type: ignore[method-assign]
        await harness.ledger.run(lambda transaction: job_is_done.set())
        harness.ledger.close()
        await harness.ledger.drained.wait()
        assert answered == [True]

    async def test_repr_counts_the_queue(self, harness: Harness) -> None:
        async with trio.open_nursery() as nursery:
            await harness.start_batch(nursery)
            nursery.start_soon(harness.ledger.run, look)
            await wait_all_tasks_blocked()
            assert repr(harness.ledger) == "<Ledger: 1 jobs waiting>"
            harness.worker.is_free.set()


class TestDurability:
    @pytest.mark.parametrize(
        ("durable", "syncs"),
        [([True], 1), ([False], 0), ([False, True, False], 1), ([False, False], 0)],
    )
    async def test_one_sync_a_batch_and_none_without_need(
        self, harness: Harness, disk: Disk, durable: Sequence[bool], syncs: int
    ) -> None:
        """The journal is synced once when any job of the batch asks for it, in any sequence."""
        for turn in range(3):
            await harness.ledger.run(add(f"durable {turn}"))
            disk.syncs.clear()
            jobs = [add(f"{turn}.{at}") for at in range(len(durable))]
            await harness.together(*jobs, durable=durable)
            assert disk.syncs["-wal"] == syncs
        assert len(harness.stored()) == 3 + 3 * len(durable)


class TestCancellation:
    async def test_before_the_job_is_queued_it_never_runs(self, harness: Harness) -> None:
        async with trio.open_nursery() as nursery:
            await fill_queue(harness, nursery)
            with trio.move_on_after(0) as scope:
                await harness.ledger.run(add("never"))
            assert scope.cancelled_caught
            harness.worker.is_free.set()
        assert harness.stored() == []

    async def test_after_the_job_is_queued_the_caller_gets_its_value(
        self, harness: Harness
    ) -> None:
        """The write stands, and its caller sees it before he leaves."""
        harness.worker.hold()
        outcomes: list[str] = []
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                outcomes.append(await harness.ledger.run(add("a")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert outcomes == []
            harness.worker.is_free.set()
        assert outcomes == harness.stored() == ["a"]

    async def test_of_the_task_does_not_stop_it(self, scratch: Path) -> None:
        """Only closing does: whoever was promised an answer gets one."""
        connection = open_database(str(scratch / "mailbox.db"))
        ledger = Ledger(ObservedEngine(connection))
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                assert await ledger.run(add("a")) == "a"
            ledger.close()
        assert ledger.drained.is_set()
        connection.close()


class TestClose:
    async def test_what_is_queued_is_still_done(self, harness: Harness) -> None:
        """Only then does the task end."""
        harness.worker.hold()
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(harness.note, add(name))
            await wait_all_tasks_blocked()
            harness.ledger.close()
            await wait_all_tasks_blocked()
            assert not harness.ledger.drained.is_set()
            harness.worker.is_free.set()
        await harness.ledger.drained.wait()
        assert sorted(map(str, harness.outcomes)) == sorted(harness.stored()) == ["a", "b", "c"]

    async def test_callers_kept_out_by_a_full_queue_are_refused(self, harness: Harness) -> None:
        async with trio.open_nursery() as nursery:
            await fill_queue(harness, nursery)
            for _ in range(3):
                nursery.start_soon(partial(harness.note, add("late")))
            await wait_all_tasks_blocked()
            harness.ledger.close()
            harness.worker.is_free.set()
        assert harness.outcomes == ["ShuttingDown"] * 3
        assert harness.stored() == []

    async def test_later_callers_are_refused(self, harness: Harness) -> None:
        """With the error that becomes a 503; closing twice does no harm."""
        harness.ledger.close()
        harness.ledger.close()
        await harness.ledger.drained.wait()
        with pytest.raises(ShuttingDown, match="try again"):
            await harness.ledger.run(look)
