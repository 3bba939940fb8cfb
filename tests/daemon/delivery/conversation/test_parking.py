"""Parked messages: out of the line after many attempts, and back when they are retried."""

import pytest

from daemon.delivery.conversation.talk import Talk
from daemon.delivery.helpers import bodies
from daemon.kit import Place, World, custody, open_world


async def hand_out(world: World, times: int) -> list[str]:
    """Take the mail of 'b' and give it back, some times; return what came the last time."""
    got: list[str] = []
    for _ in range(times):
        custodian = custody()
        got = bodies(await world.broker.check("b", custodian))
        await world.broker.leases.release(custodian.tokens)
    return got


async def test_a_message_that_is_never_confirmed_is_parked_with_a_notice(
    place: Place, autojump_clock: object
) -> None:
    """The rest of the line goes on; the count of what remains is right."""
    async with open_world(place, max_attempts=3) as world:
        talk = Talk(world)
        number = await talk.send("a", "b", "poison")
        assert await hand_out(world, 3) == ["poison"]
        await talk.send("a", "b", "next")
        claim = await world.broker.check("b", custody())
        assert bodies(claim) == ["next"]
        assert claim.remaining == 0
        assert (await talk.status("a", number)).state == "parked"
        assert await talk.notices("a") == [("parked", number)]
        assert [status.id for status in await world.broker.parking.list()] == [number]
        assert [status.id for status in await world.broker.parking.list("b")] == [number]
        assert await world.broker.parking.list("c") == []


async def test_a_watch_skips_parked_messages(place: Place, autojump_clock: object) -> None:
    async with open_world(place, max_attempts=1) as world:
        talk = Talk(world)
        await talk.send("a", "b", "poison")
        await hand_out(world, 1)
        await talk.send("a", "b", "next")
        claim = await world.broker.watch("b", 10, custody())
        assert bodies(claim) == ["next"]


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_retried_message_waits_again(
    place: Place, autojump_clock: object, deleted: bool
) -> None:
    """As if it had never been handed out, even when its mailbox was deleted meanwhile."""
    async with open_world(place, max_attempts=2) as world:
        talk = Talk(world)
        number = await talk.send("a", "b", "poison")
        await hand_out(world, 3)
        assert await world.broker.parking.retry([number + 5]) == []
        if deleted:
            assert await world.broker.mailboxes.delete("b")
        assert await world.broker.parking.retry([number, number]) == [number]
        assert (await world.broker.peek("b")).pending == 1
        assert await hand_out(world, 2) == ["poison"]
        assert await hand_out(world, 1) == []


async def test_a_dropped_message_is_deleted(place: Place, autojump_clock: object) -> None:
    async with open_world(place, max_attempts=1) as world:
        talk = Talk(world)
        number = await talk.send("a", "b", "poison")
        await hand_out(world, 2)
        assert await world.broker.parking.drop([number]) == [number]
        assert await world.broker.parking.drop([number]) == []
        assert await world.broker.parking.retry([number]) == []
        assert (await talk.status("a", number)).state == "deleted"


async def test_without_a_limit_nothing_is_parked(place: Place, autojump_clock: object) -> None:
    async with open_world(place, max_attempts=0) as world:
        await Talk(world).send("a", "b", "again and again")
        assert await hand_out(world, 60) == ["again and again"]


async def test_no_notice_is_about_a_notice(place: Place, autojump_clock: object) -> None:
    async with open_world(place, max_attempts=1) as world:
        talk = Talk(world)
        await talk.send("b", "c", "poison")
        custodian = custody()
        await world.broker.check("c", custodian)
        await world.broker.leases.release(custodian.tokens)
        await world.broker.check("c", custody())
        assert await hand_out(world, 2) == []
        (parked, _) = await world.broker.parking.list()
        assert parked.recipient == "c"
        assert world.query("SELECT count(*) FROM message") == [(2,)]
