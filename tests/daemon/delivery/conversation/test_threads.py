"""Replies: where they go, what they belong to, and who may write them."""

import pytest

from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery
from claude_mailbox.refusals import KeyReused, NotFound
from daemon.delivery.conversation.talk import Talk


async def test_a_reply_goes_to_the_other_side_in_the_thread_of_the_first_message(
    talk: Talk,
) -> None:
    first = await talk.send("a", "b")
    second = await talk.reply("b", first)
    third = await talk.reply("a", second)
    fourth = await talk.reply("a", third, "to the receiver of my own")
    plain = (await talk.take("b"))[0]
    assert (plain.id, plain.envelope) == (first, None)
    (delivery,) = await talk.take("a")
    assert delivery.envelope is not None
    assert (delivery.id, delivery.envelope.thread, delivery.envelope.reply_to) == (
        second,
        first,
        first,
    )
    status = await talk.status("b", fourth)
    assert status.recipient == "b"
    assert status.envelope is not None
    assert (status.envelope.thread, status.envelope.reply_to) == (first, third)


async def test_a_reply_may_go_to_somebody_else(talk: Talk) -> None:
    first = await talk.send("a", "b")
    await talk.send("b", "c", "have a look", reply_to=first)
    (delivery,) = await talk.take("c")
    assert delivery.envelope is not None
    assert delivery.envelope.thread == first


async def test_only_who_sent_or_got_a_message_may_reply_to_it(talk: Talk) -> None:
    first = await talk.send("a", "b")
    with pytest.raises(NotFound):
        await talk.reply("c", first)
    with pytest.raises(NotFound):
        await talk.send("a", "b", reply_to=first + 100)
    assert await talk.bodies("b") == ["x"]


async def test_a_reply_finds_a_mailbox_that_was_renamed_or_deleted(talk: Talk) -> None:
    first = await talk.send("a", "b")
    await talk.take("b")
    await talk.world.broker.mailboxes.rename("a", "c")
    second = await talk.reply("b", first)
    assert (await talk.status("b", second)).recipient == "c"
    await talk.take("c")
    assert await talk.world.broker.mailboxes.delete("c")
    assert (await talk.status("b", await talk.reply("b", first))).recipient == "c"


async def test_a_thread_is_read_by_who_took_part_in_it(talk: Talk) -> None:
    """With words and without, newest first, each what he sent or got."""
    first = await talk.send("a", "b", "apple")
    second = await talk.reply("b", first, "pear")
    await talk.send("a", "b", "apple of another thread")
    third = await talk.send("b", "c", "apple for c", reply_to=second)
    history = talk.world.broker.history

    async def numbers(name: str, **query: object) -> list[int]:
        page = await history.page(name, HistoryQuery(thread=first, **query))  # type: ignore[arg-type]
        return [entry.status.id for entry in page.entries]

    assert await numbers("a") == [second, first]
    assert await numbers("b") == [third, second, first]
    assert await numbers("c") == [third]
    assert await numbers("b", words="apple") == [third, first]
    assert await numbers("b", peer="c") == [third]
    assert await numbers("b", before=third) == [second, first]


async def test_the_receipt_of_a_message_tells_of_the_first_reply(talk: Talk) -> None:
    """By its receiver; news on the way and one's own words do not count."""
    first = await talk.send("a", "b")
    await talk.reply("a", first, "by myself")
    await talk.reply("b", first, "on the way", is_final=False)
    assert (await talk.status("a", first)).replied_by is None
    reply = await talk.reply("b", first)
    await talk.reply("b", first, "and another")
    assert (await talk.status("a", first)).replied_by == reply


async def test_a_key_covers_every_field_of_a_message(talk: Talk) -> None:
    draft = Draft("a", "b", "x", "key", urgency="low", ttl=5.0)
    first = await talk.world.broker.send(draft)
    assert (await talk.world.broker.send(draft)).id == first.id
    for other in (Draft("a", "b", "x", "key"), Draft("a", "b", "x", "key", urgency="low", ttl=6.0)):
        with pytest.raises(KeyReused):
            await talk.world.broker.send(other)
