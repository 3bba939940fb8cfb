"""Leases that run out: to the moment, and whoever notices it first."""

import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.model.drafts import Draft
from daemon.delivery.helpers import Watchers, bodies, lease
from daemon.kit import World, custody


class TestServe:
    async def test_each_lease_ends_at_its_moment(self, world: World, nursery: trio.Nursery) -> None:
        """Each lease ends when it should, in whatever order they were made."""
        nursery.start_soon(world.broker.expiry.serve)
        await lease(world, "late", 100)
        await lease(world, "soon", 10)
        ends: dict[str, float] = {}
        start = trio.current_time()
        while len(ends) < 2:
            claim = await world.broker.watch("b", 1000, custody(10**6))
            assert claim is not None
            ends[claim.deliveries[0].body] = trio.current_time() - start
        assert ends == {"soon": 10, "late": 100}

    async def test_an_extended_lease_ends_later(self, world: World, nursery: trio.Nursery) -> None:
        """Longer as well as shorter."""
        nursery.start_soon(world.broker.expiry.serve)
        longer = await lease(world, "longer", 10)
        shorter = await lease(world, "shorter", 100)
        await world.broker.leases.extend(longer.tokens, 50)
        await world.broker.leases.extend(shorter.tokens, 5)
        await trio.sleep(5)
        await wait_all_tasks_blocked()
        assert world.states() == {"longer": "leased", "shorter": "waiting"}
        await trio.sleep(44)
        assert world.states()["longer"] == "leased"
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert world.states()["longer"] == "waiting"

    async def test_leases_that_ran_out_while_no_daemon_ran_end_at_the_start(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """Those that ran out while no daemon ran end at the start."""
        await lease(world, "old", 10)
        await lease(world, "older", 5)
        await trio.sleep(7)
        nursery.start_soon(world.broker.expiry.serve)
        await wait_all_tasks_blocked()
        assert world.states() == {"old": "leased", "older": "waiting"}
        await trio.sleep(3)
        await wait_all_tasks_blocked()
        assert world.states()["old"] == "waiting"

    async def test_it_does_nothing_while_there_is_no_lease(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """No lease, no work: the clock could jump for years."""
        nursery.start_soon(world.broker.expiry.serve)
        await trio.sleep(10**8)
        await lease(world, "1", 10)
        await trio.sleep(10)
        await wait_all_tasks_blocked()
        assert world.states() == {"1": "waiting"}

    async def test_a_failure_is_tried_again(self, world: World, nursery: trio.Nursery) -> None:
        """And a lease that is extended meanwhile puts it off by no moment."""
        nursery.start_soon(world.broker.expiry.serve)
        await lease(world, "1", 10)
        other = await lease(world, "2", 100)
        with world.read_only():
            await trio.sleep(10)
            await wait_all_tasks_blocked()
        assert world.states() == {"1": "leased", "2": "leased"}
        await world.broker.leases.extend(other.tokens, 3600)
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert world.states() == {"1": "waiting", "2": "leased"}


class TestExpiry:
    """Whoever notices that a lease has run out, the watchers must hear of it."""

    async def leased_with_a_watcher(self, world: World, watchers: Watchers) -> None:
        for body in "12":
            await world.broker.send(Draft("a", "b", body))
        await world.broker.check("b", custody(10))
        await watchers.add("x")
        await watchers.add("y")
        await trio.sleep(10)
        assert watchers.got == []

    async def test_expire_wakes_the_watchers(self, world: World, watchers: Watchers) -> None:
        """All that came back is handed out."""
        await self.leased_with_a_watcher(world, watchers)
        await world.broker.expiry.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_a_peek_wakes_the_watchers(self, world: World, watchers: Watchers) -> None:
        """Counting puts messages back: those who wait must be called then."""
        await self.leased_with_a_watcher(world, watchers)
        await world.broker.peek("b")
        await world.broker.expiry.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_a_check_that_leaves_some_wakes_the_watchers(
        self, world: World, watchers: Watchers
    ) -> None:
        """What the check does not take is for the watchers."""
        await self.leased_with_a_watcher(world, watchers)
        assert bodies(await world.broker.check("b", custody(), limit=1)) == ["1"]
        await world.broker.expiry.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "2")]

    async def test_a_peek_without_watchers_rings(self, world: World) -> None:
        """An idle session must be rung for mail that came back."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.check("b", custody(10))
        await trio.sleep(10)
        world.bell.rung.clear()
        await world.broker.peek("b")
        await world.broker.expiry.expire()
        assert "b" in world.bell.rung
