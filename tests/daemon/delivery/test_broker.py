"""The verbs of the broker: send, check, list, delete and rename."""

from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.errors import BadRequest, QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.refusals import TargetExists
from daemon.delivery.helpers import Watchers, bodies
from daemon.kit import EPOCH, World, custody, open_world


class TestSend:
    async def test_the_receipt_tells_of_the_recipient(self, world: World) -> None:
        """Unknown, then known, then watching; and how much waits."""
        first = await world.broker.send(Draft("a", "b", "1"))
        assert (first.known, first.last_seen_at, first.watching, first.pending) == (
            False,
            None,
            False,
            1,
        )
        await world.broker.send(Draft("b", "a", "x"))
        await trio.sleep(5)
        second = await world.broker.send(Draft("a", "b", "2"))
        assert (second.known, second.last_seen_at, second.pending) == (True, EPOCH, 2)

    async def test_the_receipt_counts_a_watcher_that_leaves_with_the_message(
        self, world: World, watchers: Watchers
    ) -> None:
        """It counts who stood there when the message came."""
        await watchers.add("w")
        receipt = await world.broker.send(Draft("a", "b", "1"))
        assert receipt.watching
        await wait_all_tasks_blocked()
        assert not (await world.broker.send(Draft("a", "b", "2"))).watching

    async def test_writing_to_a_name_does_not_make_it_known(self, world: World) -> None:
        """Only its owner does, by using it."""
        await world.broker.send(Draft("a", "b", "1"))
        assert not (await world.broker.send(Draft("a", "b", "2"))).known
        await world.broker.check("b", custody())
        assert (await world.broker.send(Draft("a", "b", "3"))).known

    async def test_a_message_to_oneself_is_delivered(self, world: World) -> None:
        """Is a send like any other."""
        receipt = await world.broker.send(Draft("a", "a", "note"))
        assert (receipt.sender, receipt.recipient, receipt.known) == ("a", "a", True)
        assert bodies(await world.broker.check("a", custody())) == ["note"]

    async def test_a_repeated_key_repeats_the_answer(self, world: World) -> None:
        """Nothing is stored again; the answer is that of the first time, marked."""
        await world.broker.send(Draft("b", "a", "hello"))
        await trio.sleep(5)
        world.presence.note("b")
        first = await world.broker.send(Draft("a", "b", "1", "key"))
        await world.broker.check("b", custody())
        again = await world.broker.send(Draft("a", "b", "1", "key"))
        assert again.duplicate
        assert not first.duplicate
        for field in first.__slots__:
            if field != "duplicate":
                assert getattr(again, field) == getattr(first, field), field
        assert world.states() == {"hello": "waiting", "1": "leased"}

    async def test_a_former_name_is_forwarded(self, world: World, watchers: Watchers) -> None:
        """The receipt says so, and whether the present name is watched."""
        await world.broker.check("old", custody())
        await world.broker.mailboxes.rename("old", "new")
        await watchers.add("w", "new")
        receipt = await world.broker.send(Draft("a", "old", "1"))
        assert (receipt.recipient, receipt.forwarded_from) == ("new", "old")
        assert receipt.known
        assert receipt.watching
        await wait_all_tasks_blocked()
        assert watchers.got == [("w", "1")]

    async def test_a_full_mailbox_refuses_until_something_is_acked(
        self, scratch: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Leased messages count; reading makes room; a repeated key gets its old answer."""
        async with open_world(scratch, max_pending_per_mailbox=2) as world:
            await world.broker.send(Draft("a", "b", "1", "key"))
            await world.broker.send(Draft("a", "b", "2"))
            with pytest.raises(QuotaFull, match=r"'b' is full: 2 messages.*maxPendingPerMailbox"):
                await world.broker.send(Draft("a", "b", "3"))
            custodian = custody()
            await world.broker.check("b", custodian)
            with pytest.raises(QuotaFull):
                await world.broker.send(Draft("a", "b", "3"))
            assert (await world.broker.send(Draft("a", "b", "1", "key"))).duplicate
            await world.broker.leases.ack(custodian.tokens)
            await world.broker.send(Draft("a", "b", "3"))
            assert list(world.states()) == ["1", "2", "3"]

    async def test_mail_without_a_watcher_rings(self, world: World, watchers: Watchers) -> None:
        """The bell rings for a mailbox without a watcher; a watcher that stands there is called."""
        await watchers.add("w", "watched")
        world.broker.announce(["watched"])
        assert world.bell.rung == []
        world.broker.announce(["b"])
        assert world.bell.rung == ["b"]


class TestCheck:
    async def test_the_limits_count_whole_messages(self, world: World) -> None:
        """Whole messages, the oldest first; what remains is counted."""
        for body in ("x" * 100, "y" * 100, "z" * 100):
            await world.broker.send(Draft("a", "b", body))
        claim = await world.broker.check("b", custody(), max_characters=599)
        assert (len(claim.deliveries), claim.remaining) == (1, 2)
        claim = await world.broker.check("b", custody(), max_characters=600)
        assert (len(claim.deliveries), claim.remaining) == (2, 0)

    async def test_a_message_over_the_limit_comes_alone_or_waits(self, world: World) -> None:
        """Comes alone where something must come, and waits where nothing need come."""
        await world.broker.send(Draft("a", "b", "x" * 1000))
        claim = await world.broker.check("b", custody(), max_characters=10, at_least_one=False)
        assert (bodies(claim), claim.remaining) == ([], 1)
        claim = await world.broker.check("b", custody(), max_characters=10)
        assert (len(claim.deliveries), claim.remaining) == (1, 0)

    async def test_a_former_name_finds_the_mail(self, world: World) -> None:
        """Stands for the present one, and makes no mailbox."""
        await world.broker.send(Draft("a", "old", "1"))
        await world.broker.mailboxes.rename("old", "new")
        claim = await world.broker.check("old", custody())
        assert (claim.mailbox, bodies(claim)) == ("new", ["1"])
        rows = await world.broker.listings.all()
        assert {row.name for row, _ in rows} == {"new", "a"}

    async def test_the_senders_present_name_is_shown(self, world: World) -> None:
        """An answer must reach him; when he is gone, the name of then must do."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.mailboxes.rename("a", "z")
        claim = await world.broker.check("b", custody())
        assert claim.deliveries[0].sender == "z"


class TestListAndDelete:
    async def test_idle_mailboxes_are_hidden_except_those_that_matter_to_the_caller(
        self, world: World, watchers: Watchers
    ) -> None:
        """Idle ones are hidden, except mine, those with mail for me and those watched."""
        for name in ("old", "mine", "writes-me", "watched", "mailed"):
            await world.presence.touch(name)
        await world.broker.send(Draft("writes-me", "mine", "1"))
        await trio.sleep(1440 * 60 + 1)
        await world.presence.touch("fresh")
        await watchers.add("w", "watched", seconds=10**7)
        await trio.sleep(1440 * 60 - 5)
        await world.broker.send(Draft("fresh", "mailed", "2"))
        rows = await world.broker.listings.all("mine")
        found = {row.name: (row.pending, row.pending_for_you, watched) for row, watched in rows}
        assert found == {
            "fresh": (0, 0, False),
            "watched": (0, 0, True),
            "mine": (1, 0, False),
            "writes-me": (0, 1, False),
        }
        assert rows[0][0].name == "fresh"

    async def test_a_list_that_fails_keeps_presence(self, world: World) -> None:
        """Presence that could not be written is kept."""
        await world.presence.touch("b")
        await trio.sleep(9)
        world.presence.note("b")
        with world.read_only(), pytest.raises(Exception, match="cannot be written"):
            await world.broker.listings.all()
        ((row, _),) = await world.broker.listings.all()
        assert row.last_seen_at == EPOCH + 9000

    @pytest.mark.parametrize("name", ["a", "b"])
    async def test_pending_mail_keeps_its_sender_and_its_recipient(
        self, world: World, name: str
    ) -> None:
        """Neither who wrote it nor who is to get it may go, waiting or leased."""
        await world.broker.send(Draft("a", "b", "1"))
        assert not await world.broker.mailboxes.delete(name)
        custodian = custody(60)
        await world.broker.check("b", custodian)
        assert not await world.broker.mailboxes.delete(name)
        await world.broker.leases.ack(custodian.tokens)
        assert await world.broker.mailboxes.delete(name)
        assert not await world.broker.mailboxes.delete(name)

    async def test_a_name_after_its_deletion_is_new(self, world: World, watchers: Watchers) -> None:
        """Even for the one who was just here: it is registered again by use."""
        await world.presence.touch("b")
        await world.broker.mailboxes.delete("b")
        await world.presence.touch("b")
        assert [row.name for row, _ in await world.broker.listings.all()] == ["b"]

    async def test_a_watch_survives_the_deletion(self, world: World, watchers: Watchers) -> None:
        """The next message makes the mailbox again, and the watcher gets it."""
        await watchers.add("x")
        assert await world.broker.mailboxes.delete("b")
        await world.broker.send(Draft("a", "b", "1"))
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1")]


class TestRename:
    async def test_watchers_learn_the_new_name(self, world: World, watchers: Watchers) -> None:
        """All of the old line leave; later watches of the old name are told at once."""
        await watchers.add("x", "old")
        await watchers.add("y", "old")
        renamed = await world.broker.mailboxes.rename("old", "new")
        assert (renamed.old, renamed.new, renamed.transferred) == ("old", "new", 0)
        await wait_all_tasks_blocked()
        await watchers.add("z", "old")
        assert sorted(watchers.got) == [(who, "renamed to new") for who in "xyz"]
        assert world.lines.total() == 0

    async def test_mail_moves_and_wakes_a_watcher_of_the_new_name(
        self, world: World, watchers: Watchers
    ) -> None:
        """A watch that stands at the new name already gets the mail that came along."""
        await world.broker.send(Draft("a", "old", "1"))
        with world.lines.join("new") as early:
            await early.turn()
            await world.broker.mailboxes.rename("old", "new")
            with trio.fail_after(1):
                await early.turn()
        assert bodies(await world.broker.check("new", custody())) == ["1"]

    async def test_mail_that_moved_rings_the_new_name(self, world: World) -> None:
        """Nobody stands there, so its bell rings."""
        await world.broker.send(Draft("a", "old", "1"))
        world.bell.rung.clear()
        assert (await world.broker.mailboxes.rename("old", "new")).transferred == 1
        assert world.bell.rung == ["new"]

    async def test_a_lease_outlives_the_rename(self, world: World) -> None:
        """What is out may be acked or released under the new name."""
        await world.broker.send(Draft("a", "old", "1"))
        await world.broker.send(Draft("a", "old", "2"))
        custodian = custody(60)
        await world.broker.check("old", custodian)
        await world.broker.mailboxes.rename("old", "new")
        first, second = custodian.tokens
        assert (await world.broker.leases.ack([first], "new")).done == [first]
        assert (await world.broker.leases.release([second], "old")).done == [second]
        assert world.states() == {"1": "delivered", "2": "waiting"}

    async def test_a_former_name_can_be_taken_back(self, world: World, watchers: Watchers) -> None:
        """The mailbox that left a name may have it again, and watch it."""
        await world.broker.check("old", custody())
        await world.broker.mailboxes.rename("old", "new")
        await world.broker.mailboxes.rename("new", "old")
        await watchers.add("x", "old")
        await watchers.add("y", "new")
        assert watchers.got == [("y", "renamed to old")]
        await world.broker.send(Draft("a", "new", "1"))
        await wait_all_tasks_blocked()
        assert watchers.got[1:] == [("x", "1")]

    async def test_a_taken_name_is_refused(self, world: World) -> None:
        """Neither another mailbox's name nor one that another left behind."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.mailboxes.rename("b", "c")
        for name in ("b", "c"):
            with pytest.raises(TargetExists, match=f"'{name}' is taken"):
                await world.broker.mailboxes.rename("a", name)
        with pytest.raises(BadRequest, match="already named 'c'"):
            await world.broker.mailboxes.rename("b", "c")

    async def test_presence_is_kept(self, world: World) -> None:
        """Whoever was seen under the old name was seen."""
        await trio.sleep(3)
        world.presence.note("old")
        await world.presence.touch("old")
        await world.broker.mailboxes.rename("old", "new")
        ((listing, _),) = await world.broker.listings.all()
        assert (listing.name, listing.last_seen_at) == ("new", EPOCH + 3000)
