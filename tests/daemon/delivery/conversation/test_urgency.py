"""Urgency: what goes first, and what wakes nobody."""

import trio
from trio.testing import wait_all_tasks_blocked

from daemon.delivery.conversation.talk import Talk
from daemon.delivery.helpers import Watchers


async def test_high_goes_first_and_each_is_first_in_first_out(talk: Talk) -> None:
    for number, urgency in enumerate(["normal", "low", "high", "normal", "high", "low"]):
        await talk.send("a", "b", f"{number} {urgency}", urgency=urgency)
    seen = await talk.world.broker.history.waiting("b")
    assert [entry.body for entry in seen.entries] == (taken := await talk.bodies("b"))
    assert taken == [
        "2 high",
        "4 high",
        "0 normal",
        "1 low",
        "3 normal",
        "5 low",
    ]


async def test_low_rings_nobody_and_wakes_no_watch(talk: Talk, watchers: Watchers) -> None:
    """It is there at the next look; other mail brings that about."""
    await talk.send("a", "b", "news", urgency="low")
    assert talk.world.bell.rung == []
    assert await talk.bodies("b") == ["news"]
    await watchers.add("x", limit=9)
    await talk.send("a", "b", "more news", urgency="low")
    await wait_all_tasks_blocked()
    assert watchers.got == []
    await talk.send("a", "b", "hello")
    await wait_all_tasks_blocked()
    assert watchers.got == [("x", "more news,hello")]


async def test_a_watch_that_begins_takes_low_mail(talk: Talk, watchers: Watchers) -> None:
    await talk.send("a", "b", "news", urgency="low")
    await watchers.add("x")
    assert watchers.got == [("x", "news")]


async def test_delayed_low_mail_rings_nobody(talk: Talk) -> None:
    await talk.send("a", "b", "news", urgency="low", delay=5.0)
    await trio.sleep(10)
    assert talk.world.bell.rung == []
    assert await talk.bodies("b") == ["news"]
