"""Askers who wait for the answer in the request that asks."""

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.errors import ShuttingDown
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Delivery, Receipt
from claude_mailbox.refusals import MutualAsk
from daemon.delivery.conversation.talk import Talk
from daemon.kit import Place, World, custody, open_world


class Waiting:
    """An asker on his way."""

    def __init__(self, world: World, lease: float | None = None) -> None:
        self._world = world
        self.custody = custody(lease)
        self.scope = trio.CancelScope()
        self.receipt: Receipt | None = None
        self.delivery: Delivery | None = None
        self.has_ended = False
        self.was_sent_away = False

    async def ask(
        self, sender: str = "a", to: str = "b", seconds: float = 100.0, key: str | None = None
    ) -> None:
        """Ask, and wait for the answer."""
        draft = Draft(sender, to, "why?", key, ask=60.0)
        with self.scope, suppress(ShuttingDown):
            self.was_sent_away = True
            self.receipt, self.delivery = await self._world.broker.ask(draft, seconds, self.custody)
            self.was_sent_away = False
        self.has_ended = True


@pytest.mark.parametrize("lease", [None, 60.0])
async def test_the_answer_is_handed_over_and_comes_nowhere_else(
    talk: Talk, nursery: trio.Nursery, lease: float | None
) -> None:
    """A watch on the same mailbox gets nothing; a reply on the way goes there."""
    waiting = Waiting(talk.world, lease)
    nursery.start_soon(waiting.ask)
    await wait_all_tasks_blocked()
    ((question,),) = talk.world.query("SELECT id FROM message")
    await talk.reply("b", question, "a moment", is_final=False)
    assert await talk.bodies("a") == ["a moment"]
    assert not waiting.has_ended
    await talk.reply("b", question, "because")
    await wait_all_tasks_blocked()
    assert waiting.delivery is not None
    assert waiting.delivery.body == "because"
    assert waiting.custody.tokens == [waiting.delivery.lease]
    assert await talk.take("a") == []
    assert repr(talk.world.broker.askers) == "<Askers: 0 questions>"


async def test_a_notice_is_handed_over_in_place_of_the_answer(
    talk: Talk, nursery: trio.Nursery
) -> None:
    waiting = Waiting(talk.world)
    nursery.start_soon(waiting.ask)
    await trio.sleep(61)
    assert waiting.delivery is not None
    assert waiting.delivery.envelope is not None
    assert waiting.delivery.envelope.notice == "timed-out"
    assert await talk.take("a") == []


async def test_an_answer_for_an_asker_who_left_goes_to_his_mailbox(
    talk: Talk, nursery: trio.Nursery
) -> None:
    """Before it came, and in the very moment."""
    for moment in ("before", "meanwhile"):
        waiting = Waiting(talk.world)
        nursery.start_soon(waiting.ask)
        await wait_all_tasks_blocked()
        ((question,),) = talk.world.query("SELECT max(id) FROM message")
        if moment == "before":
            waiting.scope.cancel()
            await wait_all_tasks_blocked()
            await talk.reply("b", question, moment)
        else:
            nursery.start_soon(talk.reply, "b", question, moment)
            waiting.scope.cancel()
            await wait_all_tasks_blocked()
        if waiting.custody.tokens:
            await talk.world.broker.leases.release(waiting.custody.tokens)
        assert await talk.bodies("a") == [moment]


async def test_whoever_asks_again_with_the_key_gets_the_answer(
    talk: Talk, nursery: trio.Nursery
) -> None:
    """Whether it has come before, or comes now; and not what he has already."""
    first, again, at_last, late = (Waiting(talk.world) for _ in range(4))
    await first.ask(seconds=1, key="k")
    assert first.delivery is None
    nursery.start_soon(again.ask, "a", "b", 100.0, "k")
    await wait_all_tasks_blocked()
    assert again.receipt is None
    again.scope.cancel()
    await wait_all_tasks_blocked()
    assert first.receipt is not None
    await talk.reply("b", first.receipt.id, "because")
    await at_last.ask(key="k")
    assert at_last.delivery is not None
    assert at_last.delivery.body == "because"
    await talk.world.broker.leases.settle(at_last.custody.tokens)
    with trio.fail_after(1):
        await late.ask(key="k")
    assert late.delivery is None


@pytest.mark.parametrize("leaves", [False, True])
async def test_of_two_that_wait_for_one_answer_the_last_gets_it(
    talk: Talk, nursery: trio.Nursery, leaves: bool
) -> None:
    """A client whose connection broke asks again. The other one waits no longer; or gets it."""
    first, again = Waiting(talk.world), Waiting(talk.world)
    for waiting in (first, again):
        nursery.start_soon(waiting.ask, "a", "b", 100.0, "k")
        await wait_all_tasks_blocked()
    if leaves:
        again.scope.cancel()
        await wait_all_tasks_blocked()
    await talk.reply("b", 1, "because")
    await wait_all_tasks_blocked()
    assert first.has_ended
    assert again.has_ended
    assert [each.delivery is None for each in (first, again)] == [not leaves, leaves]
    assert await talk.take("a") == []


async def test_of_two_that_would_wait_for_each_other_the_second_is_refused(
    talk: Talk, nursery: trio.Nursery
) -> None:
    """He may ask without waiting."""
    nursery.start_soon(Waiting(talk.world).ask)
    await wait_all_tasks_blocked()
    await talk.world.broker.mailboxes.rename("a", "a2")
    with pytest.raises(MutualAsk):
        await Waiting(talk.world).ask("b", "a2")
    assert await talk.bodies("a2") == []
    await talk.send("b", "a2", "why me?", ask=60.0)


async def test_a_stop_of_the_daemon_ends_the_wait_and_a_start_goes_on(place: Place) -> None:
    """The question is still open."""
    async with open_world(place) as world:
        waiting = Waiting(world)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiting.ask)
            await wait_all_tasks_blocked()
            world.broker.askers.close(ShuttingDown("stop"))
        assert waiting.was_sent_away
    async with open_world(place) as world:
        talk = Talk(world)
        await talk.reply("b", 1, "because")
        assert await talk.bodies("a") == ["because"]
        assert (await talk.status("a", 1)).outcome == "answered"
