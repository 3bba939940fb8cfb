"""What happens without anybody asking, and goes on after a failure."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.delivery.housekeeping import TIDY_SECONDS
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import KEY_MILLISECONDS
from daemon.delivery.helpers import Watchers, lease
from daemon.kit import Place, World, custody, open_world


@pytest.fixture
def place(both_engines: Place) -> Place:
    """The database of either engine."""
    return both_engines


class Responses:
    """Stands for the responses that are under way.

    Attributes:
        tokens: leases that they answer for.
        caught_up: how often they were asked to settle what they could not settle before.
    """

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self.tokens = list(tokens)
        self.caught_up = 0

    def held(self) -> list[str]:
        return self.tokens

    async def catch_up(self) -> None:
        self.caught_up += 1


async def no_sessions() -> list[str]:
    """Return the mailboxes of living sessions."""
    return []


class TestStart:
    async def test_releases_bound_leases_and_no_explicit_ones(self, world: World) -> None:
        """Explicit ones belong to somebody who may still be there."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.check("b", custody())
        await world.broker.send(Draft("a", "b", "2"))
        await world.broker.check("b", custody(60))
        await world.housekeeping.release_bound()
        assert world.states() == {"1": "waiting", "2": "leased"}


class TestTidy:
    async def test_writes_presence_settles_and_releases_orphans(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """Each round writes presence down and settles; an orphan goes back in the second."""
        held = await lease(world, "held", None)
        await lease(world, "orphan", None)
        responses = Responses(held.tokens)
        await world.presence.touch("b")
        nursery.start_soon(world.housekeeping.tidy, responses.catch_up, responses.held)
        await trio.sleep(TIDY_SECONDS)
        await wait_all_tasks_blocked()
        assert repr(world.presence).endswith(" 0 unwritten>")
        assert responses.caught_up == 1
        assert world.states() == {"held": "leased", "orphan": "leased"}
        await trio.sleep(TIDY_SECONDS)
        await wait_all_tasks_blocked()
        assert world.states() == {"held": "leased", "orphan": "waiting"}

    async def test_a_failure_is_tried_again(self, world: World, nursery: trio.Nursery) -> None:
        """The next round makes up for it."""
        await lease(world, "orphan", None)
        responses = Responses()
        nursery.start_soon(world.housekeeping.tidy, responses.catch_up, responses.held)
        with world.read_only():
            await trio.sleep(TIDY_SECONDS)
            await wait_all_tasks_blocked()
        assert "0 unwritten" not in repr(world.presence)
        await trio.sleep(TIDY_SECONDS * 3)
        assert world.states() == {"orphan": "waiting"}
        assert "0 unwritten" in repr(world.presence)

    async def test_old_keys_are_forgotten(self, world: World, nursery: trio.Nursery) -> None:
        """So the table holds those of one day."""
        nursery.start_soon(world.housekeeping.tidy, Responses().catch_up, Responses().held)
        await world.broker.send(Draft("a", "b", "1", "old"))
        await trio.sleep(KEY_MILLISECONDS / 1000)
        await world.broker.send(Draft("a", "b", "2", "new"))
        await trio.sleep(TIDY_SECONDS)
        await wait_all_tasks_blocked()
        rows = world.query("SELECT key FROM idempotency_key")
        assert rows == [("new",)]


class TestSweep:
    async def test_deletes_only_what_is_idle_and_empty(
        self, world: World, watchers: Watchers
    ) -> None:
        """Pending mail, a watcher, a recent sight or a word for it keep a mailbox."""
        for name in ("stale", "spared", "seen"):
            await world.presence.touch(name)
        await world.broker.send(Draft("writer", "reader", "1"))
        await watchers.add("w", "watched", seconds=10**7)
        await trio.sleep(10080 * 60 - 1)
        await world.presence.touch("seen")
        assert await world.housekeeping.sweep() == []
        await trio.sleep(2)
        assert await world.housekeeping.sweep(["spared"]) == ["stale"]

    async def test_an_age_of_zero_switches_it_off(
        self, place: Place, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Nothing is ever too old."""
        async with open_world(place, delete_after_minutes=0) as world:
            await world.presence.touch("b")
            await trio.sleep(10**9)
            assert await world.housekeeping.sweep() == []
            assert [row.name for row, _ in await world.broker.listings.all("b")] == ["b"]


class TestSweepMailboxes:
    async def test_sweeps_at_the_start_and_then_at_intervals(
        self, world: World, nursery: trio.Nursery, caplog
    ) -> None:
        """Stale mailboxes go; their names are logged."""
        caplog.set_level("INFO", "claude_mailbox")
        await world.presence.touch("stale")
        await trio.sleep(10080 * 60 + 1)
        await world.presence.touch("later")
        nursery.start_soon(world.housekeeping.sweep_mailboxes, no_sessions)
        await wait_all_tasks_blocked()
        rows = await world.broker.listings.all()
        assert [row.name for row, _ in rows] == ["later"]
        assert "deleted 1 mailboxes that nobody used: stale" in caplog.text
        await trio.sleep(10080 * 60 + 3600)
        await wait_all_tasks_blocked()
        assert await world.broker.listings.all("later") == []

    async def test_a_failure_is_tried_again(self, world: World, nursery: trio.Nursery) -> None:
        """The next round tries again."""
        await world.presence.touch("stale")
        await trio.sleep(10080 * 60 + 1)
        with world.read_only():
            nursery.start_soon(world.housekeeping.sweep_mailboxes, no_sessions)
            await wait_all_tasks_blocked()
        await trio.sleep(3600)
        await wait_all_tasks_blocked()
        assert await world.broker.listings.all("stale") == []

    async def test_an_interval_of_zero_switches_it_off(
        self, place: Place, autojump_clock: trio.testing.MockClock
    ) -> None:
        """It returns at once."""
        async with open_world(place, sweep_interval_minutes=0) as world:
            await world.housekeeping.sweep_mailboxes(no_sessions)
