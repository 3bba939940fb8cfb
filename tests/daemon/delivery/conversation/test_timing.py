"""Delays, and times to live."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.errors import QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery
from claude_mailbox.refusals import NotFound
from daemon.delivery.conversation.talk import Talk
from daemon.delivery.helpers import Watchers
from daemon.kit import World, open_world


async def test_delayed_mail_is_seen_by_nobody_but_its_sender(talk: Talk) -> None:
    number = await talk.send("a", "b", "later", delay=10.0)
    broker = talk.world.broker
    assert (await broker.peek("b")).pending == 0
    assert await talk.take("b") == []
    assert (await broker.history.page("b", HistoryQuery())).entries == []
    assert (await broker.history.page("b", HistoryQuery(words="later"))).entries == []
    with pytest.raises(NotFound):
        await talk.status("b", number)
    assert (await talk.status("a", number)).state == "waiting"
    assert not await broker.mailboxes.delete("b")


async def test_delayed_mail_comes_at_its_time(talk: Talk, watchers: Watchers) -> None:
    """In the place of its number, and wakes whoever waits."""
    await talk.send("a", "b", "later", delay=10.0)
    await watchers.add("x", limit=9)
    await trio.sleep(9)
    await wait_all_tasks_blocked()
    assert watchers.got == []
    await trio.sleep(2)
    await wait_all_tasks_blocked()
    assert watchers.got == [("x", "later")]


async def test_a_delayed_reply_answers_when_it_comes(talk: Talk) -> None:
    question = await talk.send("a", "b", "why?", ask=60.0)
    await talk.reply("b", question, "because", delay=10.0)
    assert (await talk.status("a", question)).outcome is None
    assert (await talk.status("a", question)).replied_by is None
    await trio.sleep(11)
    assert (await talk.status("a", question)).outcome == "answered"
    assert await talk.bodies("a") == ["because"]


async def test_a_message_that_is_not_delivered_in_time_expires(talk: Talk) -> None:
    number = await talk.send("a", "b", "soon", ttl=10.0)
    other = await talk.send("a", "b", "in time", ttl=30.0)
    await trio.sleep(11)
    assert await talk.bodies("b") == ["in time"]
    assert (await talk.status("a", number)).state == "expired"
    assert await talk.notices("a") == [("expired", number)]
    await trio.sleep(100)
    assert (await talk.status("a", other)).state == "delivered"
    assert await talk.take("a") == []


async def test_an_expired_message_is_not_delivered_before_it_was_noticed(world: World) -> None:
    """Nothing watches the time here: a look does."""
    talk = Talk(world)
    await talk.send("a", "b", "soon", ttl=10.0)
    await trio.sleep(10)
    assert await talk.take("b") == []


async def test_a_message_that_is_leased_when_its_time_ends_can_be_acked(talk: Talk) -> None:
    """Given back, it is returned to its sender within seconds."""
    kept = await talk.send("a", "b", "kept", ttl=10.0)
    lost = await talk.send("a", "b", "lost", ttl=10.0)
    first, second = Custody(), Custody()
    await talk.world.broker.check("b", first, limit=1)
    await talk.world.broker.check("b", second, limit=1)
    await trio.sleep(60)
    await talk.world.broker.leases.settle(first.tokens)
    await talk.world.broker.leases.release(second.tokens)
    assert await talk.take("b") == []
    await trio.sleep(6)
    assert await talk.notices("a") == [("expired", lost)]
    assert (await talk.status("a", kept)).state == "delivered"


async def test_a_wait_for_the_delivery_ends_when_there_will_be_none(talk: Talk) -> None:
    number = await talk.send("a", "b", "soon", ttl=10.0)
    with trio.fail_after(15):
        status = await talk.world.broker.receipts.wait("a", number, "delivered", 300, Custody())
    assert status.state == "expired"


async def test_delayed_mail_counts_for_the_quota(world: World) -> None:
    async with open_world(world.place, max_pending_per_mailbox=1) as small:
        await small.broker.send(Draft("a", "b", "later", delay=10.0))
        with pytest.raises(QuotaFull):
            await small.broker.send(Draft("a", "b", "now"))
