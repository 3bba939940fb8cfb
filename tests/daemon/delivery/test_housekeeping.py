"""What happens without anybody asking, and goes on after a failure."""

from collections.abc import Sequence

import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.delivery import housekeeping
from claude_mailbox.daemon.edge.handover import Custody
from daemon.kit import World, custody


class Somebody:
    """Holds some leases; stands in for living responses, streams and sessions."""

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self.tokens = list(tokens)
        self.caught_up = 0

    def held(self) -> list[str]:
        """Return what it holds."""
        return self.tokens

    async def catch_up(self) -> None:
        """Count the calls."""
        self.caught_up += 1

    async def living(self) -> list[str]:
        """Return mailboxes of living sessions: none."""
        return []


async def lease(world: World, body: str, seconds: float | None) -> Custody:
    """Send a message to 'b' and claim it."""
    await world.broker.send("a", "b", body)
    custodian = custody(seconds)
    await world.broker.check("b", custodian)
    return custodian


class TestExpireLeases:
    async def test_to_the_moment(self, world: World, nursery: trio.Nursery) -> None:
        """Each lease ends when it should, in whatever order they were made."""
        nursery.start_soon(housekeeping.expire_leases, world.broker, world.clock)
        await lease(world, "late", 100)
        await lease(world, "soon", 10)
        ends: dict[str, float] = {}
        start = trio.current_time()
        while len(ends) < 2:
            claim = await world.broker.watch("b", 1000, custody(10**6))
            assert claim is not None
            ends[claim.deliveries[0].body] = trio.current_time() - start
        assert ends == {"soon": 10, "late": 100}

    async def test_an_extension_is_heeded(self, world: World, nursery: trio.Nursery) -> None:
        """Longer as well as shorter."""
        nursery.start_soon(housekeeping.expire_leases, world.broker, world.clock)
        longer = await lease(world, "longer", 10)
        shorter = await lease(world, "shorter", 100)
        await world.broker.extend(longer.tokens, 50)
        await world.broker.extend(shorter.tokens, 5)
        await trio.sleep(5)
        await wait_all_tasks_blocked()
        assert world.states() == {"longer": "leased", "shorter": "waiting"}
        await trio.sleep(44)
        assert world.states()["longer"] == "leased"
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert world.states()["longer"] == "waiting"

    async def test_leases_of_a_former_life(self, world: World, nursery: trio.Nursery) -> None:
        """Those that ran out while no daemon ran end at the start."""
        await lease(world, "old", 10)
        await lease(world, "older", 5)
        await trio.sleep(7)
        nursery.start_soon(housekeeping.expire_leases, world.broker, world.clock)
        await wait_all_tasks_blocked()
        assert world.states() == {"old": "leased", "older": "waiting"}
        await trio.sleep(3)
        await wait_all_tasks_blocked()
        assert world.states()["old"] == "waiting"

    async def test_it_rests_when_there_is_nothing(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """No lease, no work: the clock could jump for years."""
        nursery.start_soon(housekeeping.expire_leases, world.broker, world.clock)
        await trio.sleep(10**8)
        await lease(world, "1", 10)
        await trio.sleep(10)
        await wait_all_tasks_blocked()
        assert world.states() == {"1": "waiting"}

    async def test_a_failure_is_tried_again(self, world: World, nursery: trio.Nursery) -> None:
        """And a lease that is extended meanwhile puts it off by no moment."""
        nursery.start_soon(housekeeping.expire_leases, world.broker, world.clock)
        await lease(world, "1", 10)
        other = await lease(world, "2", 100)
        with world.read_only():
            await trio.sleep(10)
            await wait_all_tasks_blocked()
        assert world.states() == {"1": "leased", "2": "leased"}
        await world.broker.extend(other.tokens, 3600)
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert world.states() == {"1": "waiting", "2": "leased"}


class TestTidy:
    async def test_presence_settlements_and_orphans(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """Each round writes presence down and settles; an orphan goes back in the second."""
        held = await lease(world, "held", None)
        await lease(world, "orphan", None)
        handover = Somebody(held.tokens)
        await world.presence.touch("b")
        nursery.start_soon(housekeeping.tidy, world.broker, handover.catch_up, handover.held)
        await trio.sleep(housekeeping.TIDY_SECONDS)
        await wait_all_tasks_blocked()
        assert repr(world.presence).endswith(" 0 unwritten>")
        assert handover.caught_up == 1
        assert world.states() == {"held": "leased", "orphan": "leased"}
        await trio.sleep(housekeeping.TIDY_SECONDS)
        await wait_all_tasks_blocked()
        assert world.states() == {"held": "leased", "orphan": "waiting"}

    async def test_a_failure_is_survived(self, world: World, nursery: trio.Nursery) -> None:
        """The next round makes up for it."""
        await lease(world, "orphan", None)
        handover = Somebody()
        nursery.start_soon(housekeeping.tidy, world.broker, handover.catch_up, handover.held)
        with world.read_only():
            await trio.sleep(housekeeping.TIDY_SECONDS)
            await wait_all_tasks_blocked()
        assert "0 unwritten" not in repr(world.presence)
        await trio.sleep(housekeeping.TIDY_SECONDS * 3)
        assert world.states() == {"orphan": "waiting"}
        assert "0 unwritten" in repr(world.presence)


class TestSweepMailboxes:
    async def test_at_the_start_and_then_at_intervals(
        self, world: World, nursery: trio.Nursery, caplog
    ) -> None:
        """Stale mailboxes go; their names are logged."""
        caplog.set_level("INFO", "claude_mailbox")
        await world.presence.touch("stale")
        await trio.sleep(10080 * 60 + 1)
        await world.presence.touch("later")
        nursery.start_soon(housekeeping.sweep_mailboxes, world.broker, Somebody(), 60)
        await wait_all_tasks_blocked()
        rows = await world.broker.list_mailboxes()
        assert [row.name for row, _ in rows] == ["later"]
        assert "deleted 1 mailboxes that nobody used: stale" in caplog.text
        await trio.sleep(10080 * 60 + 3600)
        await wait_all_tasks_blocked()
        assert await world.broker.list_mailboxes("later") == []

    async def test_a_failure_is_survived(self, world: World, nursery: trio.Nursery) -> None:
        """The next round tries again."""
        await world.presence.touch("stale")
        await trio.sleep(10080 * 60 + 1)
        with world.read_only():
            nursery.start_soon(housekeeping.sweep_mailboxes, world.broker, Somebody(), 60)
            await wait_all_tasks_blocked()
        await trio.sleep(3600)
        await wait_all_tasks_blocked()
        assert await world.broker.list_mailboxes("stale") == []

    async def test_an_interval_of_zero_switches_it_off(self, world: World) -> None:
        """It returns at once."""
        await housekeeping.sweep_mailboxes(world.broker, Somebody(), 0)  # type: ignore[arg-type]
