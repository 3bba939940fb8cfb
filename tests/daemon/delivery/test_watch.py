"""Watches: who waits longest is served first."""

from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.errors import QuotaFull, ShuttingDown
from claude_mailbox.model.drafts import Draft
from daemon.delivery.helpers import Watchers, bodies
from daemon.kit import EPOCH, World, custody, open_world


class TestWatch:
    async def test_first_come_first_served(self, world: World, watchers: Watchers) -> None:
        """Every message goes to who waits longest."""
        for who in "xyz":
            await watchers.add(who)
        for body in "123":
            await world.broker.send(Draft("a", "b", body))
            await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2"), ("z", "3")]

    async def test_a_burst_is_shared_in_order(self, world: World, watchers: Watchers) -> None:
        """Three messages at once for three watchers."""
        for who in "xyz":
            await watchers.add(who)
        async with trio.open_nursery() as nursery:
            for body in "123":
                nursery.start_soon(world.broker.send, Draft("a", "b", body))
        await wait_all_tasks_blocked()
        assert [who for who, _ in watchers.got] == ["x", "y", "z"]
        order = [body for _, (body,) in ((who, tuple(got)) for who, got in watchers.got)]
        assert order == list(world.states())

    async def test_mail_that_waits_already_comes_at_once(self, world: World) -> None:
        """Is handed out at once, one message a watch, the oldest first."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.send(Draft("a", "b", "2"))
        claim = await world.broker.watch("b", 300, custody())
        assert bodies(claim) == ["1"]
        assert claim is not None
        assert claim.remaining == 1
        assert trio.current_time() == 0

    async def test_without_mail_it_ends_at_its_timeout(self, world: World) -> None:
        """Then there is nothing, at the moment asked for."""
        start = trio.current_time()
        assert await world.broker.watch("b", 25, custody()) is None
        assert trio.current_time() - start == 25

    async def test_a_timeout_of_zero_looks_once(self, world: World) -> None:
        """A time-out of zero is a look."""
        await world.broker.send(Draft("a", "b", "1"))
        assert bodies(await world.broker.watch("b", 0, custody())) == ["1"]
        assert await world.broker.watch("b", 0, custody()) is None

    @pytest.mark.parametrize("attempt", range(10))
    async def test_a_check_leaves_the_watchers_in_line(
        self, world: World, watchers: Watchers, attempt: int
    ) -> None:
        """A look in vain, because a check was faster, ends no watch and costs nobody's place."""
        await watchers.add("x")
        await watchers.add("y")
        custodian = custody()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.broker.send, Draft("a", "b", "1"))
            nursery.start_soon(world.broker.check, "b", custodian)
        await world.broker.send(Draft("a", "b", "2"))
        await wait_all_tasks_blocked()
        if custodian.tokens:
            assert watchers.got == [("x", "2")]
        else:
            assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_a_watch_counts_as_presence(self, world: World) -> None:
        """Who watches is known, and was seen when the watch looked."""
        await trio.sleep(7)
        await world.broker.watch("b", 0, custody())
        receipt = await world.broker.send(Draft("a", "b", "1"))
        assert (receipt.known, receipt.last_seen_at) == (True, EPOCH + 7000)

    async def test_one_watch_too_many_is_refused(
        self, scratch: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The one too many is refused, the others wait on."""
        async with open_world(scratch, max_waiters_per_mailbox=1) as world:
            async with trio.open_nursery() as nursery:
                watchers = Watchers(world, nursery)
                await watchers.add("x")
                with pytest.raises(QuotaFull):
                    await world.broker.watch("b", 0, custody())
                await world.broker.send(Draft("a", "b", "1"))
            assert watchers.got == [("x", "1")]

    async def test_shutting_down_ends_all_watches_and_refuses_new_ones(
        self, world: World, watchers: Watchers
    ) -> None:
        """Long-polls end at once when the lines close, new ones do not begin."""
        await watchers.add("x")
        world.lines.close(ShuttingDown("bye"))
        await wait_all_tasks_blocked()
        await watchers.add("y")
        assert watchers.got == [("x", "shutting down"), ("y", "shutting down")]
