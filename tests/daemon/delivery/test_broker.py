"""The verbs of the broker: what they promise to senders, watchers and holders of leases."""

from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.handover import Custody
from claude_mailbox.errors import BadRequest, QuotaFull, Renamed, ShuttingDown, TargetExists
from claude_mailbox.model import Claim
from daemon.kit import EPOCH, World, custody, open_world


def bodies(claim: Claim | None) -> list[str]:
    """Return the bodies of a claim's messages."""
    return [] if claim is None else [delivery.body for delivery in claim.deliveries]


class Watchers:
    """Several watches, and what they got, in the order of getting it."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._nursery = nursery
        self.got: list[tuple[str, object]] = []

    async def add(self, who: str, name: str = "b", seconds: float = 300, limit: int = 1) -> None:
        """Begin a watch; return when it stands in line."""
        self._nursery.start_soon(self._watch, who, name, seconds, limit)
        await wait_all_tasks_blocked()

    async def _watch(self, who: str, name: str, seconds: float, limit: int) -> None:
        try:
            claim = await self._world.broker.watch(name, seconds, Custody(), limit=limit)
        except Renamed as error:
            self.got.append((who, f"renamed to {error.to}"))
        except ShuttingDown:
            self.got.append((who, "shutting down"))
        else:
            self.got.append((who, "nothing" if claim is None else ",".join(bodies(claim))))


@pytest.fixture
async def watchers(world: World, nursery: trio.Nursery) -> Watchers:
    """No watches yet; those that are left at the end of the test are cancelled."""
    return Watchers(world, nursery)


class TestSend:
    async def test_the_answer_is_honest_about_the_receiver(self, world: World) -> None:
        """Unknown, then known, then watching; and how much waits."""
        first = await world.broker.send("a", "b", "1")
        assert (first.known, first.last_seen_at, first.watching, first.pending) == (
            False,
            None,
            False,
            1,
        )
        await world.broker.send("b", "a", "x")
        await trio.sleep(5)
        second = await world.broker.send("a", "b", "2")
        assert (second.known, second.last_seen_at, second.pending) == (True, EPOCH, 2)

    async def test_watching_is_told_though_the_watcher_leaves_with_it(
        self, world: World, watchers: Watchers
    ) -> None:
        """It counts who stood there when the message came."""
        await watchers.add("w")
        receipt = await world.broker.send("a", "b", "1")
        assert receipt.watching
        await wait_all_tasks_blocked()
        assert not (await world.broker.send("a", "b", "2")).watching

    async def test_writing_to_a_name_does_not_make_it_known(self, world: World) -> None:
        """Only its owner does, by using it."""
        await world.broker.send("a", "b", "1")
        assert not (await world.broker.send("a", "b", "2")).known
        await world.broker.check("b", custody())
        assert (await world.broker.send("a", "b", "3")).known

    async def test_to_oneself(self, world: World) -> None:
        """Is a send like any other."""
        receipt = await world.broker.send("a", "a", "note")
        assert (receipt.sender, receipt.recipient, receipt.known) == ("a", "a", True)
        assert bodies(await world.broker.check("a", custody())) == ["note"]

    async def test_a_repeated_key_repeats_the_answer(self, world: World) -> None:
        """Nothing is stored again; the answer is that of the first time, marked."""
        await world.broker.send("b", "a", "hello")
        await trio.sleep(5)
        world.presence.note("b")
        first = await world.broker.send("a", "b", "1", "key")
        await world.broker.check("b", custody())
        again = await world.broker.send("a", "b", "1", "key")
        assert again.duplicate
        assert not first.duplicate
        for field in first.__slots__:
            if field != "duplicate":
                assert getattr(again, field) == getattr(first, field), field
        assert world.states() == {"hello": "waiting", "1": "leased"}

    async def test_a_former_name_is_forwarded(self, world: World, watchers: Watchers) -> None:
        """The receipt says so, and whether the present name is watched."""
        await world.broker.check("old", custody())
        await world.broker.rename("old", "new")
        await watchers.add("w", "new")
        receipt = await world.broker.send("a", "old", "1")
        assert (receipt.recipient, receipt.forwarded_from) == ("new", "old")
        assert receipt.known
        assert receipt.watching
        await wait_all_tasks_blocked()
        assert watchers.got == [("w", "1")]

    async def test_a_full_mailbox(
        self, scratch: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Leased messages count; reading makes room; a repeated key gets its old answer."""
        async with open_world(scratch, max_pending_per_mailbox=2) as world:
            await world.broker.send("a", "b", "1", "key")
            await world.broker.send("a", "b", "2")
            with pytest.raises(QuotaFull, match=r"'b' is full: 2 messages.*maxPendingPerMailbox"):
                await world.broker.send("a", "b", "3")
            custodian = custody()
            await world.broker.check("b", custodian)
            with pytest.raises(QuotaFull):
                await world.broker.send("a", "b", "3")
            assert (await world.broker.send("a", "b", "1", "key")).duplicate
            await world.broker.ack(custodian.tokens)
            await world.broker.send("a", "b", "3")
            assert list(world.states()) == ["1", "2", "3"]

    async def test_mail_for_nobody_in_line_rings(self, world: World, watchers: Watchers) -> None:
        """The bell rings for a mailbox without a watcher; a watcher that stands there is called."""
        await watchers.add("w", "watched")
        world.broker.announce(["watched"])
        assert world.bell.rung == []
        world.broker.announce(["b"])
        assert world.bell.rung == ["b"]


class TestWatch:
    async def test_first_come_first_served(self, world: World, watchers: Watchers) -> None:
        """Every message goes to who waits longest."""
        for who in "xyz":
            await watchers.add(who)
        for body in "123":
            await world.broker.send("a", "b", body)
            await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2"), ("z", "3")]

    async def test_a_burst_is_shared_in_order(self, world: World, watchers: Watchers) -> None:
        """Three messages at once for three watchers."""
        for who in "xyz":
            await watchers.add(who)
        async with trio.open_nursery() as nursery:
            for body in "123":
                nursery.start_soon(world.broker.send, "a", "b", body)
        await wait_all_tasks_blocked()
        assert [who for who, _ in watchers.got] == ["x", "y", "z"]
        order = [body for _, (body,) in ((who, tuple(got)) for who, got in watchers.got)]
        assert order == list(world.states())

    async def test_mail_that_waits_already(self, world: World) -> None:
        """Is handed out at once, one message a watch, the oldest first."""
        await world.broker.send("a", "b", "1")
        await world.broker.send("a", "b", "2")
        claim = await world.broker.watch("b", 300, custody())
        assert bodies(claim) == ["1"]
        assert claim is not None
        assert claim.remaining == 1
        assert trio.current_time() == 0

    async def test_time_is_over(self, world: World) -> None:
        """Then there is nothing, at the moment asked for."""
        start = trio.current_time()
        assert await world.broker.watch("b", 25, custody()) is None
        assert trio.current_time() - start == 25

    async def test_no_time_looks_once(self, world: World) -> None:
        """A time-out of zero is a look."""
        await world.broker.send("a", "b", "1")
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
            nursery.start_soon(world.broker.send, "a", "b", "1")
            nursery.start_soon(world.broker.check, "b", custodian)
        await world.broker.send("a", "b", "2")
        await wait_all_tasks_blocked()
        if custodian.tokens:
            assert watchers.got == [("x", "2")]
        else:
            assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_it_counts_as_being_there(self, world: World) -> None:
        """Who watches is known, and was seen when the watch looked."""
        await trio.sleep(7)
        await world.broker.watch("b", 0, custody())
        receipt = await world.broker.send("a", "b", "1")
        assert (receipt.known, receipt.last_seen_at) == (True, EPOCH + 7000)

    async def test_too_many(self, scratch: Path, autojump_clock: trio.testing.MockClock) -> None:
        """The one too many is refused, the others wait on."""
        async with open_world(scratch, max_waiters_per_mailbox=1) as world:
            async with trio.open_nursery() as nursery:
                watchers = Watchers(world, nursery)
                await watchers.add("x")
                with pytest.raises(QuotaFull):
                    await world.broker.watch("b", 0, custody())
                await world.broker.send("a", "b", "1")
            assert watchers.got == [("x", "1")]

    async def test_shutting_down_ends_all(self, world: World, watchers: Watchers) -> None:
        """Long-polls end at once when the lines close, new ones do not begin."""
        await watchers.add("x")
        world.lines.close(ShuttingDown("bye"))
        await wait_all_tasks_blocked()
        await watchers.add("y")
        assert watchers.got == [("x", "shutting down"), ("y", "shutting down")]


class TestRename:
    async def test_watchers_learn_the_new_name(self, world: World, watchers: Watchers) -> None:
        """All of the old line leave; later watches of the old name are told at once."""
        await watchers.add("x", "old")
        await watchers.add("y", "old")
        renamed = await world.broker.rename("old", "new")
        assert (renamed.old, renamed.new, renamed.transferred) == ("old", "new", 0)
        await wait_all_tasks_blocked()
        await watchers.add("z", "old")
        assert sorted(watchers.got) == [(who, "renamed to new") for who in "xyz"]
        assert world.lines.total() == 0

    async def test_mail_moves_and_wakes_who_waits_there(
        self, world: World, watchers: Watchers
    ) -> None:
        """A watch that stands at the new name already gets the mail that came along."""
        await world.broker.send("a", "old", "1")
        with world.lines.join("new") as early:
            await early.turn()
            await world.broker.rename("old", "new")
            with trio.fail_after(1):
                await early.turn()
        assert bodies(await world.broker.check("new", custody())) == ["1"]

    async def test_mail_that_moved_rings_the_new_name(self, world: World) -> None:
        """Nobody stands there, so its bell rings."""
        await world.broker.send("a", "old", "1")
        world.bell.rung.clear()
        assert (await world.broker.rename("old", "new")).transferred == 1
        assert world.bell.rung == ["new"]

    async def test_a_lease_survives(self, world: World) -> None:
        """What is out may be acked or released under the new name."""
        await world.broker.send("a", "old", "1")
        await world.broker.send("a", "old", "2")
        custodian = custody(60)
        await world.broker.check("old", custodian)
        await world.broker.rename("old", "new")
        first, second = custodian.tokens
        assert (await world.broker.ack([first], "new")).done == [first]
        assert (await world.broker.release([second], "old")).done == [second]
        assert world.states() == {"1": "delivered", "2": "waiting"}

    async def test_back_and_forth(self, world: World, watchers: Watchers) -> None:
        """The mailbox that left a name may have it again, and watch it."""
        await world.broker.check("old", custody())
        await world.broker.rename("old", "new")
        await world.broker.rename("new", "old")
        await watchers.add("x", "old")
        await watchers.add("y", "new")
        assert watchers.got == [("y", "renamed to old")]
        await world.broker.send("a", "new", "1")
        await wait_all_tasks_blocked()
        assert watchers.got[1:] == [("x", "1")]

    async def test_a_taken_name(self, world: World) -> None:
        """Neither another mailbox's name nor one that another left behind."""
        await world.broker.send("a", "b", "1")
        await world.broker.rename("b", "c")
        for name in ("b", "c"):
            with pytest.raises(TargetExists, match=f"'{name}' is taken"):
                await world.broker.rename("a", name)
        with pytest.raises(BadRequest, match="already named 'c'"):
            await world.broker.rename("b", "c")

    async def test_presence_is_kept(self, world: World) -> None:
        """Whoever was seen under the old name was seen."""
        await trio.sleep(3)
        world.presence.note("old")
        await world.presence.touch("old")
        await world.broker.rename("old", "new")
        ((listing, _),) = await world.broker.list_mailboxes()
        assert (listing.name, listing.last_seen_at) == ("new", EPOCH + 3000)


class TestLeases:
    async def test_ack_is_for_good(self, world: World) -> None:
        """Again with the same token it is done; nothing brings the message back."""
        await world.broker.send("a", "b", "1")
        custodian = custody(60)
        await world.broker.check("b", custodian)
        assert (await world.broker.ack(custodian.tokens)).done == custodian.tokens
        assert (await world.broker.ack(custodian.tokens)).done == custodian.tokens
        assert (await world.broker.release(custodian.tokens)).lost == custodian.tokens
        assert (await world.broker.extend(custodian.tokens, 5)).lost == custodian.tokens
        await trio.sleep(3600)
        await world.broker.expire()
        assert world.states() == {"1": "delivered"}

    async def test_a_released_message_keeps_its_place(self, world: World) -> None:
        """It comes before what came later, with its attempts counted."""
        for body in "123":
            await world.broker.send("a", "b", body)
        custodian = custody(60)
        await world.broker.check("b", custodian, limit=2)
        await world.broker.release(custodian.tokens[:1])
        claim = await world.broker.check("b", custody())
        assert [(d.body, d.attempts) for d in claim.deliveries] == [("1", 2), ("3", 1)]

    async def test_release_wakes_the_front(self, world: World, watchers: Watchers) -> None:
        """What comes back goes to who waits."""
        await world.broker.send("a", "b", "1")
        custodian = custody(60)
        await world.broker.check("b", custodian)
        await watchers.add("x")
        await world.broker.release(custodian.tokens)
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1")]

    async def test_release_with_nobody_in_line_rings(self, world: World) -> None:
        """Mail that came back to an idle mailbox is news."""
        await world.broker.send("a", "b", "1")
        custodian = custody(60)
        await world.broker.check("b", custodian)
        world.bell.rung.clear()
        await world.broker.release(custodian.tokens)
        assert world.bell.rung == ["b"]

    async def test_the_old_token_of_a_message_is_lost(self, world: World) -> None:
        """After an expiry somebody else may have it: the first holder cannot ack it."""
        await world.broker.send("a", "b", "1")
        first, second = custody(10), custody(10)
        await world.broker.check("b", first)
        await trio.sleep(10)
        await world.broker.check("b", second)
        assert (await world.broker.ack(first.tokens)).lost == first.tokens
        assert (await world.broker.extend(first.tokens, 5)).lost == first.tokens
        assert (await world.broker.ack(second.tokens)).done == second.tokens

    async def test_only_the_holder_may_answer(self, world: World) -> None:
        """Another mailbox's token is lost, whatever the verb."""
        await world.broker.send("a", "b", "1")
        custodian = custody(60)
        await world.broker.check("b", custodian)
        for outcome in (
            await world.broker.ack(custodian.tokens, "thief"),
            await world.broker.release(custodian.tokens, "thief"),
            await world.broker.extend(custodian.tokens, 60, "a"),
        ):
            assert outcome.lost == custodian.tokens
        assert world.states() == {"1": "leased"}

    @pytest.mark.parametrize(
        "token",
        ["", "-", "1", "1-", "-1", "x-y", "1-\x00", "²-a", "9" * 30 + "-a", "1-é", "\uff11-a"],
    )
    async def test_what_is_no_token_is_lost(self, world: World, token: str) -> None:
        """Whatever a client makes up is an answer, not an error."""
        await world.broker.send("a", "b", "1")
        await world.broker.check("b", custody(60))
        assert (await world.broker.ack([token])).lost == [token]
        assert (await world.broker.release([token])).lost == [token]
        assert (await world.broker.extend([token], 5)).lost == [token]
        assert world.states() == {"1": "leased"}

    async def test_extension_counts_from_now(self, world: World) -> None:
        """A lease may be made longer or shorter."""
        await world.broker.send("a", "b", "1")
        custodian = custody(10)
        await world.broker.check("b", custodian)
        await trio.sleep(9)
        await world.broker.extend(custodian.tokens, 10)
        await trio.sleep(9)
        assert await world.broker.expire() == EPOCH + 19_000
        assert world.states() == {"1": "leased"}
        await trio.sleep(1)
        assert await world.broker.expire() is None
        assert world.states() == {"1": "waiting"}

    async def test_bound_leases_do_not_expire(self, world: World) -> None:
        """They last as long as their connection, and cannot be given a time."""
        await world.broker.send("a", "b", "1")
        custodian = custody()
        await world.broker.check("b", custodian)
        assert (await world.broker.extend(custodian.tokens, 1)).lost == custodian.tokens
        await trio.sleep(10**6)
        assert await world.broker.expire() is None
        assert world.states() == {"1": "leased"}

    async def test_a_restart_releases_bound_leases_only(self, world: World) -> None:
        """Explicit ones belong to somebody who may still be there."""
        await world.broker.send("a", "b", "1")
        await world.broker.check("b", custody())
        await world.broker.send("a", "b", "2")
        await world.broker.check("b", custody(60))
        await world.broker.release_all_bound()
        assert world.states() == {"1": "waiting", "2": "leased"}


class TestExpiry:
    """Whoever notices that a lease has run out, the watchers must hear of it."""

    async def leased_with_a_watcher(self, world: World, watchers: Watchers) -> None:
        for body in "12":
            await world.broker.send("a", "b", body)
        await world.broker.check("b", custody(10))
        await watchers.add("x")
        await watchers.add("y")
        await trio.sleep(10)
        assert watchers.got == []

    async def test_noticed_by_the_sweeper(self, world: World, watchers: Watchers) -> None:
        """All that came back is handed out."""
        await self.leased_with_a_watcher(world, watchers)
        await world.broker.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_noticed_by_a_peek(self, world: World, watchers: Watchers) -> None:
        """Counting puts messages back: those who wait must be called then."""
        await self.leased_with_a_watcher(world, watchers)
        await world.broker.peek("b")
        await world.broker.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1"), ("y", "2")]

    async def test_noticed_by_a_check_that_leaves_some(
        self, world: World, watchers: Watchers
    ) -> None:
        """What the check does not take is for the watchers."""
        await self.leased_with_a_watcher(world, watchers)
        assert bodies(await world.broker.check("b", custody(), limit=1)) == ["1"]
        await world.broker.expire()
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "2")]

    async def test_noticed_by_a_peek_without_watchers_rings(self, world: World) -> None:
        """An idle session must be rung for mail that came back."""
        await world.broker.send("a", "b", "1")
        await world.broker.check("b", custody(10))
        await trio.sleep(10)
        world.bell.rung.clear()
        await world.broker.peek("b")
        await world.broker.expire()
        assert "b" in world.bell.rung

    async def test_the_next_moment_is_told(self, world: World) -> None:
        """``expiry_moved`` returns when a sooner end is known."""
        await world.broker.send("a", "b", "1")
        await world.broker.send("a", "b", "2")
        await world.broker.check("b", custody(100), limit=1)
        assert await world.broker.expiry_moved() == EPOCH + 100_000
        with trio.move_on_after(1) as scope:
            await world.broker.expiry_moved()
        assert scope.cancelled_caught
        await world.broker.check("b", custody(10))
        assert await world.broker.expiry_moved() == EPOCH + 11_000
        assert await world.broker.expire() == EPOCH + 11_000


class TestCheck:
    async def test_the_limits(self, world: World) -> None:
        """Whole messages, the oldest first; what remains is counted."""
        for body in ("x" * 100, "y" * 100, "z" * 100):
            await world.broker.send("a", "b", body)
        claim = await world.broker.check("b", custody(), max_characters=599)
        assert (len(claim.deliveries), claim.remaining) == (1, 2)
        claim = await world.broker.check("b", custody(), max_characters=600)
        assert (len(claim.deliveries), claim.remaining) == (2, 0)

    async def test_a_message_over_the_limit(self, world: World) -> None:
        """Comes alone where something must come, and waits where nothing need come."""
        await world.broker.send("a", "b", "x" * 1000)
        claim = await world.broker.check("b", custody(), max_characters=10, at_least_one=False)
        assert (bodies(claim), claim.remaining) == ([], 1)
        claim = await world.broker.check("b", custody(), max_characters=10)
        assert (len(claim.deliveries), claim.remaining) == (1, 0)

    async def test_a_former_name(self, world: World) -> None:
        """Stands for the present one, and makes no mailbox."""
        await world.broker.send("a", "old", "1")
        await world.broker.rename("old", "new")
        claim = await world.broker.check("old", custody())
        assert (claim.mailbox, bodies(claim)) == ("new", ["1"])
        rows = await world.broker.list_mailboxes()
        assert {row.name for row, _ in rows} == {"new", "a"}

    async def test_the_senders_present_name_is_shown(self, world: World) -> None:
        """An answer must reach him; when he is gone, the name of then must do."""
        await world.broker.send("a", "b", "1")
        await world.broker.rename("a", "z")
        claim = await world.broker.check("b", custody())
        assert claim.deliveries[0].sender == "z"


class TestListAndDelete:
    async def test_hidden_and_shown(self, world: World, watchers: Watchers) -> None:
        """Idle ones are hidden, except mine, those with mail for me and those watched."""
        for name in ("old", "mine", "writes-me", "watched", "mailed"):
            await world.presence.touch(name)
        await world.broker.send("writes-me", "mine", "1")
        await trio.sleep(1440 * 60 + 1)
        await world.presence.touch("fresh")
        await watchers.add("w", "watched", seconds=10**7)
        await trio.sleep(1440 * 60 - 5)
        await world.broker.send("fresh", "mailed", "2")
        rows = await world.broker.list_mailboxes("mine")
        found = {row.name: (row.pending, row.pending_for_you, watched) for row, watched in rows}
        assert found == {
            "fresh": (0, 0, False),
            "watched": (0, 0, True),
            "mine": (1, 0, False),
            "writes-me": (0, 1, False),
        }
        assert rows[0][0].name == "fresh"

    async def test_a_list_that_fails_forgets_no_sight(self, world: World) -> None:
        """Presence that could not be written is kept."""
        await world.presence.touch("b")
        await trio.sleep(9)
        world.presence.note("b")
        with world.read_only(), pytest.raises(Exception, match="cannot be written"):
            await world.broker.list_mailboxes()
        ((row, _),) = await world.broker.list_mailboxes()
        assert row.last_seen_at == EPOCH + 9000

    @pytest.mark.parametrize("name", ["a", "b"])
    async def test_pending_mail_keeps_both_ends(self, world: World, name: str) -> None:
        """Neither who wrote it nor who is to get it may go, waiting or leased."""
        await world.broker.send("a", "b", "1")
        assert not await world.broker.delete(name)
        custodian = custody(60)
        await world.broker.check("b", custodian)
        assert not await world.broker.delete(name)
        await world.broker.ack(custodian.tokens)
        assert await world.broker.delete(name)
        assert not await world.broker.delete(name)

    async def test_a_name_after_its_deletion_is_new(self, world: World, watchers: Watchers) -> None:
        """Even for the one who was just here: it is registered again by use."""
        await world.presence.touch("b")
        await world.broker.delete("b")
        await world.presence.touch("b")
        assert [row.name for row, _ in await world.broker.list_mailboxes()] == ["b"]

    async def test_a_watch_survives_the_deletion(self, world: World, watchers: Watchers) -> None:
        """The next message makes the mailbox again, and the watcher gets it."""
        await watchers.add("x")
        assert await world.broker.delete("b")
        await world.broker.send("a", "b", "1")
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1")]


class TestSweep:
    async def test_only_what_is_stale_and_empty(self, world: World, watchers: Watchers) -> None:
        """Pending mail, a watcher, a recent sight or a word for it keep a mailbox."""
        for name in ("stale", "spared", "seen"):
            await world.presence.touch(name)
        await world.broker.send("writer", "reader", "1")
        await watchers.add("w", "watched", seconds=10**7)
        await trio.sleep(10080 * 60 - 1)
        await world.presence.touch("seen")
        assert await world.broker.sweep() == []
        await trio.sleep(2)
        assert await world.broker.sweep(["spared"]) == ["stale"]

    async def test_zero_switches_it_off(
        self, scratch: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Nothing is ever too old."""
        async with open_world(scratch, delete_after_minutes=0) as world:
            await world.presence.touch("b")
            await trio.sleep(10**9)
            assert await world.broker.sweep() == []
            assert [row.name for row, _ in await world.broker.list_mailboxes("b")] == ["b"]
