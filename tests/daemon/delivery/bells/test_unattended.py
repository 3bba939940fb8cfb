"""When the broker rings: for mail that nobody in a line takes."""

from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.model.drafts import Draft
from daemon.kit import World, custody, open_world


async def watch(world: World, seconds: float) -> None:
    """Wait for one message to `bob`."""
    await world.broker.watch("bob", seconds, custody())


async def test_mail_without_a_watcher_rings(scratch: Path) -> None:
    """Nobody stands there: the bell is all there is."""
    async with open_world(scratch) as world:
        await world.broker.send(Draft("alice", "bob", "hello"))
        assert world.bell.rung == ["bob"]


async def test_mail_that_a_watcher_takes_does_not_ring_before(scratch: Path) -> None:
    """A waiter is called, and only when it has left there is a ring, for what may be left."""
    async with open_world(scratch) as world, trio.open_nursery() as nursery:
        nursery.start_soon(watch, world, 60)
        await wait_all_tasks_blocked()
        await world.broker.send(Draft("alice", "bob", "one"))
        assert world.bell.rung == []
        await wait_all_tasks_blocked()
        assert world.bell.rung == ["bob"]


async def test_a_watcher_that_leaves_others_behind_does_not_ring(scratch: Path) -> None:
    """The next in line takes what is left."""
    async with open_world(scratch) as world, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(watch, world, 60)
        await wait_all_tasks_blocked()
        await world.broker.send(Draft("alice", "bob", "one"))
        await wait_all_tasks_blocked()
        assert world.bell.rung == []
        nursery.cancel_scope.cancel()


async def test_a_watcher_that_goes_without_its_mail_rings(scratch: Path) -> None:
    """It was called and its time was over in the same moment: the mail must not lie unheard."""
    async with open_world(scratch) as world, trio.open_nursery() as nursery:
        nursery.start_soon(watch, world, 60)
        await wait_all_tasks_blocked()
        await world.broker.send(Draft("alice", "bob", "one"))
        nursery.cancel_scope.cancel()
    assert world.bell.rung == ["bob"]
