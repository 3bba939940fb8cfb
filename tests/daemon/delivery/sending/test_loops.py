"""Two sessions that write to each other without end are stopped, and no message is lost."""

from itertools import cycle

import pytest
import trio

from claude_mailbox.model.drafts import Draft
from claude_mailbox.refusals import TooManyMessages, UnknownRecipient
from daemon.delivery.helpers import bodies
from daemon.delivery.session_steps import begin, end, prompt
from daemon.kit import World, custody, open_world

GUARD_AFTER, HOLD_AFTER = 12, 40


async def thank(world: World, number: int, one: str = "a", other: str = "b") -> list[str]:
    """Let two sessions write to each other in turn; return the bodies that were held."""
    held = []
    for index, sender in zip(range(number), cycle([one, other]), strict=False):
        await trio.sleep(2)
        body = f"thanks {index}"
        receipt = await world.broker.send(Draft(sender, other if sender == one else one, body))
        if receipt.is_held:
            held.append(body)
    return held


@pytest.fixture
async def pair(world: World) -> World:
    """A world in which the sessions 'a' and 'b' run."""
    await begin(world, "a")
    await begin(world, "b")
    return world


class TestHolding:
    async def test_two_models_that_thank_each_other_are_stopped(self, pair: World) -> None:
        """Each answers what it gets: after 39 messages nobody gets anything any more."""
        await pair.broker.send(Draft("a", "b", "hello"))
        got = 0
        idle = 0
        for name, peer in cycle([("b", "a"), ("a", "b")]):
            claim = await pair.broker.check(name, custody())
            idle = 0 if claim.deliveries else idle + 1
            if idle == 2:
                break
            for _ in claim.deliveries:
                got += 1
                await trio.sleep(2)
                await pair.broker.send(Draft(name, peer, f"thanks {got}"))
        assert got == HOLD_AFTER - 1
        assert len(pair.states()) == HOLD_AFTER
        (held,) = await pair.broker.holding.held()
        assert (held.id, held.sender, held.recipient) == (HOLD_AFTER, "b", "a")
        await prompt(pair, "a")
        assert bodies(await pair.broker.check("a", custody())) == ["thanks 39"]

    async def test_a_prompt_in_either_session_lets_all_of_it_through_in_order(
        self, pair: World
    ) -> None:
        """Those who wait are woken, and counting begins anew."""
        for user in "ab":
            held = await thank(pair, HOLD_AFTER + 3)
            assert held == ["thanks 39", "thanks 40", "thanks 41", "thanks 42"]
            await pair.broker.check("a", custody())
            await pair.broker.check("b", custody())
            pair.bell.rung.clear()
            await prompt(pair, user)
            assert sorted(pair.bell.rung) == ["a", "b"]
            assert bodies(await pair.broker.check("b", custody())) == ["thanks 40", "thanks 42"]
            assert bodies(await pair.broker.check("a", custody())) == ["thanks 39", "thanks 41"]

    async def test_a_wake_up_is_no_prompt_of_the_user(self, pair: World) -> None:
        """Mail wakes a session, which looks like a prompt."""
        await thank(pair, HOLD_AFTER)
        await prompt(pair, "a", is_by_user=False)
        assert len(await pair.broker.holding.held()) == 1

    async def test_the_user_releases_it(self, pair: World) -> None:
        """All, or what one mailbox has to do with."""
        await begin(pair, "c")
        await thank(pair, HOLD_AFTER)
        await thank(pair, HOLD_AFTER, "a", "c")
        assert list(await pair.broker.holding.release("b")) == [HOLD_AFTER]
        assert list(await pair.broker.holding.release("nobody")) == []
        assert list(await pair.broker.holding.release()) == [2 * HOLD_AFTER]
        assert await pair.broker.holding.held() == []
        receipt = await pair.broker.send(Draft("a", "b", "on we go"))
        assert (receipt.is_held, receipt.guard) == (False, None)

    async def test_other_pairs_are_not_affected(self, pair: World) -> None:
        """Nor is a script, a message to oneself, or what the user writes."""
        await begin(pair, "c")
        await thank(pair, HOLD_AFTER)
        await pair.presence.touch("script")
        pair.connection.execute("INSERT INTO mailbox (name, created_at) VALUES ('user', 1)")
        for sender, to in (("c", "b"), ("script", "b"), ("a", "script"), ("a", "a"), ("user", "b")):
            assert not (await pair.broker.send(Draft(sender, to, "hello"))).is_held

    async def test_a_session_that_has_ended_takes_no_part(self, pair: World) -> None:
        await pair.broker.send(Draft("x", "b", "so that its mailbox stays"))
        await end(pair, "b")
        assert await thank(pair, HOLD_AFTER) == []

    async def test_a_mailbox_with_held_mail_stays(self, pair: World) -> None:
        """Otherwise a message would be lost."""
        await thank(pair, HOLD_AFTER)
        await pair.broker.check("a", custody())
        await pair.broker.check("b", custody())
        await pair.broker.leases.settle(pair.bound())
        assert not await pair.broker.mailboxes.delete("a")
        assert not await pair.broker.mailboxes.delete("b")

    async def test_held_mail_survives_the_daemon(self, pair: World) -> None:
        """And is still held."""
        await thank(pair, HOLD_AFTER)
        async with open_world(pair.place) as later:
            assert len(await later.broker.holding.held()) == 1
            assert (await later.broker.send(Draft("b", "a", "again"))).is_held

    async def test_a_repeated_key_tells_that_the_message_is_held(self, pair: World) -> None:
        await thank(pair, HOLD_AFTER)
        first = await pair.broker.send(Draft("a", "b", "again", key="k"))
        again = await pair.broker.send(Draft("a", "b", "again", key="k"))
        assert (first.is_held, again.is_held, again.duplicate) == (True, True, True)

    async def test_copies_to_a_group_count(self, pair: World) -> None:
        """Each for its member; the others get theirs."""
        await begin(pair, "c")
        for mailbox in "abc":
            await pair.broker.groups.join(mailbox, "@team")
        await thank(pair, HOLD_AFTER)
        receipt = await pair.broker.send_to_group(Draft("a", "@team", "all of you"))
        assert [(copy.recipient, copy.is_held) for copy in receipt.copies] == [  # type: ignore[union-attr]
            ("b", True),
            ("c", False),
        ]
        assert bodies(await pair.broker.check("c", custody())) == ["all of you"]

    async def test_zero_switches_it_off(self, pair: World) -> None:
        async with open_world(pair.place, guard_after=0, hold_after=0) as free:
            assert await thank(free, 3 * HOLD_AFTER) == []


async def test_each_is_told_once(pair: World) -> None:
    """In the answers to the twelfth message and to the next one of the other."""
    told = {}
    for number, (sender, to) in zip(range(1, 31), cycle(["ab", "ba"]), strict=False):
        guard = (await pair.broker.send(Draft(sender, to, "thanks"))).guard
        if guard is not None:
            told[number] = (guard.used, guard.limit, guard.is_held)
    assert told == {
        GUARD_AFTER: (12, HOLD_AFTER, False),
        GUARD_AFTER + 1: (13, HOLD_AFTER, False),
    }


class TestRate:
    async def test_a_flood_for_a_session_is_refused(self, pair: World) -> None:
        """Also one of a script; nothing of it is stored, and later it goes on."""
        for _ in range(60):
            await pair.broker.send(Draft("script", "b", "x"))
        with pytest.raises(TooManyMessages, match=r"wait 60 s, until .*Z"):
            await pair.broker.send(Draft("script", "b", "one too many"))
        assert "one too many" not in pair.states()
        await pair.broker.send(Draft("other", "b", "x"))
        await trio.sleep(60)
        await pair.broker.send(Draft("script", "b", "x"))

    async def test_a_mailbox_without_a_session_takes_any_number(self, world: World) -> None:
        """Scripts use such as queues."""
        for _ in range(200):
            await world.broker.send(Draft("script", "queue", "x"))

    async def test_zero_switches_it_off(self, pair: World) -> None:
        async with open_world(pair.place, max_per_minute=0) as free:
            for _ in range(100):
                await free.broker.send(Draft("script", "b", "x"))


class TestUnknownReceivers:
    async def test_names_are_suggested(self, pair: World) -> None:
        """As long as nobody has used that mailbox."""
        await begin(pair, "shop-1a2b3c4d", "shop")
        for _ in range(2):
            receipt = await pair.broker.send(Draft("a", "shop-1a2b", "x"))
            assert list(receipt.suggestions) == ["shop-1a2b3c4d"]
        await pair.presence.touch("shop-1a2b")
        assert not (await pair.broker.send(Draft("a", "shop-1a2b", "x"))).suggestions

    async def test_a_strict_send_stores_nothing(self, pair: World) -> None:
        """Not even a mailbox; to one that is known it is a send like any other."""
        await begin(pair, "shop-1a2b3c4d", "shop")
        with pytest.raises(UnknownRecipient, match="nothing was stored") as refused:
            await pair.broker.send(Draft("a", "shop-1a2b", "x", is_strict=True))
        assert refused.value.suggestions == ["shop-1a2b3c4d"]
        assert "shop-1a2b" not in [row.name for row, _ in await pair.broker.listings.all()]
        assert (await pair.broker.send(Draft("a", "b", "x", is_strict=True))).known
