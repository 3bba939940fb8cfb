"""Which batches the ledger does on the event loop, and which on the worker."""

from functools import partial

import apsw
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.store import ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import BadRequest
from daemon.store.harness import EVENT_LOOP, WORKER, Harness, add, look


class Clock:
    """Stands for ``time`` in the ledger's eyes: every flush takes what the test says."""

    def __init__(self) -> None:
        self.flush = 0.0
        self._now = 0.0

    def perf_counter(self) -> float:
        """Return seconds; each reading is one flush later than the last."""
        self._now += self.flush
        return self._now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """How long the ledger sees its flushes take."""
    clock = Clock()
    monkeypatch.setattr(ledger, "time", clock)
    return clock


async def place(harness: Harness, *, durable: bool = False, brief: bool = True) -> str:
    """Run a job alone; return where that was done."""
    await harness.ledger.run(look, durable=durable, brief=brief)
    return harness.engine.places[-1]


async def places(harness: Harness, count: int) -> list[str]:
    """Run brief durable jobs one after the other; return where each was done."""
    return [await place(harness, durable=True) for _ in range(count)]


async def test_only_brief_jobs_run_on_the_event_loop(harness: Harness) -> None:
    assert await place(harness) == EVENT_LOOP
    assert await place(harness, brief=False) == WORKER


async def test_an_engine_can_decline(harness: Harness) -> None:
    """One that is reached over the network would block the loop."""
    harness.engine.works_in_place = False
    assert await place(harness) == WORKER


@pytest.mark.parametrize(
    ("count", "long", "expected"), [(64, 0, EVENT_LOOP), (65, 0, WORKER), (2, 1, WORKER)]
)
async def test_a_batch_runs_on_the_event_loop_if_it_is_short(
    harness: Harness, count: int, long: int, expected: str
) -> None:
    """At most 64 jobs, and all of them brief."""
    async with trio.open_nursery() as nursery:
        await harness.start_batch(nursery)
        for number in range(count):
            brief = number >= long
            nursery.start_soon(partial(harness.note, add(str(number)), durable=False, brief=brief))
        await wait_all_tasks_blocked()
        harness.worker.is_free.set()
    assert harness.engine.places == [WORKER, expected]
    assert len(harness.stored()) == len(harness.outcomes) == count


async def test_flushes_run_on_the_worker_until_the_disk_proves_quick(
    harness: Harness, clock: Clock
) -> None:
    """Four quick flushes do; what needs no flush does not wait for that."""
    assert await places(harness, 6) == [WORKER] * 4 + [EVENT_LOOP] * 2
    assert await place(harness) == EVENT_LOOP


async def test_a_slow_flush_sends_the_next_ones_to_the_worker(
    harness: Harness, clock: Clock
) -> None:
    """At once, and until the disk has proved quick again."""
    await places(harness, 5)
    clock.flush = 0.020
    assert await places(harness, 2) == [EVENT_LOOP, WORKER]
    clock.flush = 0.0001
    assert await places(harness, 8) == [WORKER] * 5 + [EVENT_LOOP] * 3
    clock.flush = 0.002
    assert await places(harness, 5) == [EVENT_LOOP] + [WORKER] * 4


async def test_a_locked_database_is_waited_for_on_the_worker(harness: Harness) -> None:
    """The batch begins anew there, and is done once."""
    other = apsw.Connection(harness.connection.filename)
    other.execute("BEGIN IMMEDIATE")
    harness.worker.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(harness.note, add("a"), durable=False, brief=True))
        await wait_all_tasks_blocked()
        assert harness.engine.places == [EVENT_LOOP]
        other.execute("ROLLBACK")
        harness.worker.is_free.set()
    other.close()
    assert harness.engine.places == [EVENT_LOOP, WORKER]
    assert harness.outcomes == harness.stored() == ["a"]


async def test_a_failing_job_fails_alone(harness: Harness) -> None:
    """On the event loop as on the worker."""

    def fail(transaction: Transaction) -> None:
        add("undone")(transaction)
        raise BadRequest("x")

    async with trio.open_nursery() as nursery:
        await harness.start_batch(nursery)
        for job in (add("a"), fail, add("b")):
            nursery.start_soon(partial(harness.note, job, durable=False, brief=True))
            await wait_all_tasks_blocked()
        harness.worker.is_free.set()
    # Once without savepoints, and anew with them.
    assert harness.engine.places == [WORKER, EVENT_LOOP, EVENT_LOOP]
    assert sorted(map(str, harness.outcomes)) == ["BadRequest", "a", "b"]
    assert harness.stored() == ["a", "b"]
