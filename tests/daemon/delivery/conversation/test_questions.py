"""Questions: each ends in one way, and the asker hears of it once."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.refusals import Unanswerable
from daemon.delivery.conversation.talk import Talk

SESSION = "11111111-aaaa-4000-8000-000000000001"


async def test_the_first_final_reply_of_the_asked_answers(talk: Talk) -> None:
    """Nothing comes when the time is over."""
    question = await talk.send("a", "b", "why?", ask=60.0)
    await talk.reply("a", question, "by the asker")
    await talk.reply("b", question, "a moment", is_final=False)
    assert (await talk.status("a", question)).outcome is None
    await talk.reply("b", question, "because")
    await talk.reply("b", question, "and so on")
    assert (await talk.status("a", question)).outcome == "answered"
    await trio.sleep(100)
    assert await talk.bodies("a") == ["a moment", "because", "and so on"]


async def test_time_runs_out_once_and_a_late_answer_still_comes(talk: Talk) -> None:
    question = await talk.send("a", "b", "why?", ask=60.0)
    await trio.sleep(59)
    assert await talk.take("a") == []
    await trio.sleep(2)
    await wait_all_tasks_blocked()
    (notice,) = await talk.take("a")
    assert notice.sender == "claude-mailbox"
    assert f"question {question} to 'b' was not answered within 60 seconds" in notice.body
    assert notice.envelope is not None
    assert (notice.envelope.thread, notice.envelope.notice) == (question, "timed-out")
    await talk.reply("b", question, "late")
    await trio.sleep(100)
    assert await talk.bodies("a") == ["late"]
    assert (await talk.status("a", question)).outcome == "timed-out"


async def test_after_a_late_answer_the_notice_rings_nobody(talk: Talk) -> None:
    question = await talk.send("a", "b", "why?", ask=1.0)
    await trio.sleep(2)
    await talk.reply("b", question, "late", urgency="low")
    ((waiting, quiet),) = talk.world.query(
        "SELECT sum(waiting), sum(quiet) FROM backlog JOIN mailbox ON id = recipient_id"
        " WHERE name = 'a'"
    )
    assert (waiting, quiet) == (2, 2)


async def test_an_asked_session_that_ended_will_not_answer(talk: Talk) -> None:
    await talk.begin_session(SESSION, "b")
    question = await talk.send("a", "b", "why?", ask=600.0)
    await talk.end_session(SESSION)
    await trio.sleep(30)
    assert await talk.notices("a") == [("unanswerable", question)]
    await trio.sleep(600)
    assert await talk.take("a") == []


async def test_clearing_and_resuming_a_session_ends_no_question(talk: Talk) -> None:
    await talk.begin_session(SESSION, "b")
    await talk.send("a", "b", "why?", ask=600.0)
    await talk.end_session(SESSION, hands_on=True)
    await trio.sleep(3)
    await talk.begin_session(SESSION, "b")
    await trio.sleep(100)
    assert await talk.take("a") == []


async def test_a_session_that_saw_it_and_idles_for_a_minute_will_not_answer(talk: Talk) -> None:
    """Not while it works, nor before it has seen the question."""
    await talk.begin_session(SESSION, "b")
    await talk.note_state(SESSION, "idle")
    question = await talk.send("a", "b", "why?", ask=6000.0)
    await trio.sleep(300)
    await talk.take("b")
    await trio.sleep(50)
    await talk.note_state(SESSION, "working")
    await trio.sleep(300)
    await talk.note_state(SESSION, "idle")
    await trio.sleep(55)
    assert await talk.take("a") == []
    await trio.sleep(15)
    assert await talk.notices("a") == [("unanswerable", question)]


async def test_an_answer_that_is_delayed_or_held_still_comes(talk: Talk) -> None:
    """Nobody is told that none will, however long its session idles."""
    await talk.begin_session(SESSION, "b")
    question = await talk.send("a", "b", "why?", ask=6000.0)
    await talk.take("b")
    await talk.note_state(SESSION, "idle")
    await talk.reply("b", question, "because", delay=300.0)
    await trio.sleep(200)
    assert await talk.bodies("a") == []
    await trio.sleep(110)
    assert await talk.bodies("a") == ["because"]
    assert (await talk.status("a", question)).outcome == "answered"


async def test_a_deleted_mailbox_will_not_answer(talk: Talk) -> None:
    question = await talk.send("a", "b", "why?", ask=600.0)
    await talk.take("b")
    assert await talk.world.broker.mailboxes.delete("b")
    await trio.sleep(10)
    assert await talk.notices("a") == [("unanswerable", question)]


async def test_a_mailbox_with_an_open_question_is_not_deleted(talk: Talk) -> None:
    """And both may be renamed meanwhile."""
    question = await talk.send("a", "b", "why?", ask=60.0)
    await talk.take("b")
    assert not await talk.world.broker.mailboxes.delete("a")
    await talk.world.broker.mailboxes.rename("a", "a2")
    await talk.world.broker.mailboxes.rename("b", "b2")
    await talk.reply("b2", question, "because")
    assert await talk.bodies("a2") == ["because"]
    assert await talk.world.broker.mailboxes.delete("a2")


async def test_a_question_that_expires_or_is_parked_has_one_notice(talk: Talk) -> None:
    expiring = await talk.send("a", "b", "why?", ask=600.0, ttl=10.0)
    await trio.sleep(20)
    assert await talk.notices("a") == [("unanswerable", expiring)]
    assert (await talk.status("a", expiring)).state == "expired"
    await trio.sleep(700)
    assert await talk.take("a") == []


async def test_a_question_to_oneself_or_an_ended_session_is_refused(talk: Talk) -> None:
    """And nothing is stored then."""
    with pytest.raises(Unanswerable):
        await talk.send("a", "a", "why?", ask=60.0)
    await talk.begin_session(SESSION, "b")
    await talk.send("a", "b", "so that the mailbox stays")
    await talk.end_session(SESSION)
    with pytest.raises(Unanswerable):
        await talk.send("a", "b", "why?", ask=60.0)
    assert await talk.bodies("b") == ["so that the mailbox stays"]


async def test_a_reply_to_a_notice_is_refused(talk: Talk) -> None:
    """Except to somebody else, in its thread."""
    question = await talk.send("a", "b", "why?", ask=1.0)
    await trio.sleep(2)
    (notice,) = await talk.take("a")
    with pytest.raises(Unanswerable):
        await talk.reply("a", notice.id)
    await talk.send("a", "c", "look", reply_to=notice.id)
    (delivery,) = await talk.take("c")
    assert delivery.envelope is not None
    assert delivery.envelope.thread == question
