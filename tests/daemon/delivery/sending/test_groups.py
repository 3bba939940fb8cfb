"""Who belongs to which group."""

import os
from collections.abc import Sequence

import pytest
import trio

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import ALL
from daemon.delivery.session_steps import begin, end
from daemon.kit import Place, World, open_world, virtual_clock

HOUR = 3600


async def members(world: World, name: str) -> Sequence[str]:
    """Return who would get what is sent to a group, in any order."""
    now = virtual_clock()
    return sorted(
        await world.ledger.run(
            lambda transaction: world.broker.groups.members(transaction, name, now)
        )
    )


class TestJoined:
    async def test_a_member_belongs_to_it_until_it_leaves(self, world: World) -> None:
        """Twice is as good as once."""
        groups = world.broker.groups
        await groups.join("a", "@team")
        await groups.join("b", "@team")
        assert list((await groups.join("b", "@team")).members) == ["a", "b"]
        assert list((await groups.leave("a", "@team")).members) == ["b"]
        assert list((await groups.leave("a", "@team")).members) == ["b"]
        assert list((await groups.leave("b", "@team")).members) == []

    async def test_a_renamed_member_stays(self, world: World) -> None:
        await world.broker.groups.join("a", "@team")
        await world.broker.mailboxes.rename("a", "z")
        assert await members(world, "@team") == ["z"]

    async def test_a_deleted_member_is_gone(self, world: World) -> None:
        """And does not come back with a new mailbox of its name."""
        await world.broker.groups.join("a", "@team")
        assert await world.broker.mailboxes.delete("a")
        await world.presence.touch("a")
        assert await members(world, "@team") == []

    async def test_memberships_outlive_the_daemon(
        self, place: Place, autojump_clock: object
    ) -> None:
        async with open_world(place) as before:
            await before.broker.groups.join("a", "@team")
        async with open_world(place) as after:
            assert await members(after, "@team") == ["a"]


class TestProject:
    async def test_its_sessions_belong_to_it_without_joining(self, world: World) -> None:
        await begin(world, "shop-1", "shop")
        await begin(world, "shop-2", "shop")
        await begin(world, "web-1", "web")
        await begin(world, "nowhere-1")
        assert await members(world, "@shop") == ["shop-1", "shop-2"]

    async def test_a_session_that_has_ended_does_not(self, world: World) -> None:
        """Though its mailbox is still there, because mail waits in it."""
        await begin(world, "shop-1", "shop")
        await begin(world, "shop-2", "shop")
        await world.broker.send(Draft("x", "shop-2", "hello"))
        await end(world, "shop-2")
        assert await members(world, "@shop") == ["shop-1"]

    async def test_a_session_whose_client_was_killed_does_not(self, world: World) -> None:
        await begin(world, "shop-1", "shop", "999999999")
        await begin(world, "shop-2", "shop", str(os.getpid()))
        assert await members(world, "@shop") == ["shop-2"]

    async def test_a_running_client_may_be_idle_for_long(self, world: World) -> None:
        """Of a session without a known client, an hour is all that one can go by."""
        await begin(world, "shop-1", "shop", str(os.getpid()))
        await begin(world, "shop-2", "shop")
        await trio.sleep(HOUR + 1)
        assert await members(world, "@shop") == ["shop-1"]

    async def test_nobody_joins_it(self, world: World) -> None:
        await begin(world, "shop-1", "shop")
        with pytest.raises(BadRequest, match="all sessions of that project: nobody joins"):
            await world.broker.groups.join("a", "@shop")

    async def test_members_from_before_the_project_stay(self, world: World) -> None:
        await world.broker.groups.join("a", "@shop")
        await begin(world, "shop-1", "shop")
        assert await members(world, "@shop") == ["a", "shop-1"]


class TestAll:
    async def test_the_sessions_of_the_last_hour_belong_to_it(self, world: World) -> None:
        """Whoever is seen, by whatever request, is active."""
        await begin(world, "old", client=str(os.getpid()))
        await begin(world, "busy")
        await trio.sleep(HOUR - 5)
        await begin(world, "new")
        world.presence.note("busy")
        await world.presence.touch("plain")
        await trio.sleep(10)
        assert await members(world, ALL) == ["busy", "new"]

    async def test_nobody_joins_it(self, world: World) -> None:
        with pytest.raises(BadRequest, match="all active sessions: nobody joins"):
            await world.broker.groups.join("a", ALL)


async def test_the_list_has_all_groups_with_members(world: World) -> None:
    await world.broker.groups.join("a", "@team")
    await begin(world, "shop-1", "shop")
    found = await world.broker.groups.groups()
    assert [(group.name, group.kind, list(group.members)) for group in found] == [
        ("@all", "all", ["shop-1"]),
        ("@shop", "project", ["shop-1"]),
        ("@team", "joined", ["a"]),
    ]


async def test_a_description_is_listed_until_it_is_taken_back(world: World) -> None:
    await world.broker.mailboxes.describe("a", "the login service")
    await world.broker.mailboxes.rename("a", "z")
    for text in ("the login service", None):
        if text is None:
            await world.broker.mailboxes.describe("z", None)
        ((listing, _),) = await world.broker.listings.all()
        assert (listing.name, listing.description) == ("z", text)
