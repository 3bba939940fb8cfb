"""Replies, questions, groups and what belongs to the clock, as typed fields, with a real daemon."""

import threading
from datetime import timedelta

import pytest

from claude_mailbox import AsyncMailbox, Mailbox
from claude_mailbox.library import Refused, Unanswered
from claude_mailbox.library.calls import Call
from library.conftest import Run
from support.daemon import DaemonProcess


def test_a_question_and_its_answer(home: DaemonProcess) -> None:
    """Each side sees thread, deadline and what is replied to."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        number = alice.send("bob", "Ready?", ask=60, urgency="high").id
        with bob.check() as messages:
            (question,) = messages
            assert question.answer_by is not None
            assert abs(question.answer_by - question.sent_at - timedelta(seconds=60)) < timedelta(
                seconds=1
            )
            assert (question.urgency, question.thread, question.reply_to) == ("high", None, None)
            bob.reply(question, "soon", final=False)
            bob.reply(question, "yes", urgency="low")
        with alice.check() as replies:
            assert [(each.body, each.is_final, each.urgency) for each in replies] == [
                ("soon", False, "normal"),
                ("yes", True, "low"),
            ]
            assert {(each.thread, each.reply_to) for each in replies} == {(number, number)}
        asked = alice.history()[-1]
        assert (asked.outcome, asked.replied_by) == ("answered", replies[-1].id)
        assert (asked.answer_by, asked.urgency) == (question.answer_by, "high")
        assert alice.history(thread=number)[0].reply_to == number


def test_a_question_that_will_not_be_answered(home: DaemonProcess) -> None:
    """`ask` raises what the notice says, and the notice does not come again."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:

        def leave() -> None:
            message = bob.watch(20)
            assert message is not None
            message.ack()
            deletion = Call(
                "DELETE", "/v1/mailbox", lambda found: bool(found["deleted"]), is_own=True
            )
            assert bob.run(deletion)

        leaving = threading.Thread(target=leave)
        leaving.start()
        with pytest.raises(Unanswered, match="that mailbox was deleted"):
            alice.ask("bob", "Ready?", 30)
        leaving.join()
        assert alice.check() == []
        assert alice.history()[0].notice == "unanswerable"


def test_ask_stays_open_after_the_wait(home: DaemonProcess) -> None:
    """Unless it is asked for less."""
    with Mailbox("alice") as alice:
        assert alice.ask("bob", "Ready?", 0.1) is None
        with pytest.raises(Unanswered, match="within 1 second"):
            alice.ask("bob", "Ready?", 20, within=1)
        (again, first) = [each for each in alice.history() if each.notice is None]
        assert (first.outcome, again.outcome) == (None, "timed-out")


def test_an_expired_message_has_a_notice_and_a_delayed_one_is_hidden(home: DaemonProcess) -> None:
    """A notice tells of what was not delivered in time; what is delayed is not there yet."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        late = alice.send("bob", "later", delay=3600)
        assert late.pending == 0
        expired = alice.send("bob", "now or never", ttl=1)
        notice = alice.watch(20)
        assert notice is not None
        assert (notice.notice, notice.reply_to) == ("expired", expired.id)
        assert bob.check() == []
        assert alice.history(peer="bob")[0].state == "expired"


def test_a_parked_message_has_a_notice(home: DaemonProcess) -> None:
    """The sender gets a notice, and the history tells."""
    home.settings["maxAttempts"] = 1
    home.restart()
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        number = alice.send("bob", "poison").id
        bob.check()[0].release()
        assert bob.check() == []
        (notice,) = alice.check()
        assert (notice.notice, notice.reply_to) == ("parked", number)
        (entry,) = alice.history(peer="bob")
        assert (entry.state, entry.attempts) == ("parked", 1)


def test_a_group_is_joined_and_gets_mail(home: DaemonProcess, run: Run) -> None:
    """A copy for each, and a reply to the sender or to all."""

    async def talk() -> None:
        async with AsyncMailbox("alice") as alice, AsyncMailbox("bob") as bob:
            assert await alice.join("@reviewers") == ["alice"]
            assert await bob.join("@reviewers") == ["alice", "bob"]
            for number in range(6):
                async with AsyncMailbox(f"carl-{number}") as carl:
                    await carl.join("@reviewers")
            with pytest.raises(Refused) as refused:
                await alice.send("@reviewers", "Have a look.")
            assert refused.value.code == "confirm"
            receipt = await alice.send("@reviewers", "Have a look.", confirm=True)
            names = [each.name for each in receipt.recipients]
            assert names == ["bob", *(f"carl-{number}" for number in range(6))]
            assert (receipt.recipient, receipt.wakes, receipt.state) == (
                "@reviewers",
                False,
                "queued",
            )
            for number in range(6):
                async with AsyncMailbox(f"carl-{number}") as carl:
                    await carl.leave("@reviewers")
            async with await bob.check() as messages:
                (message,) = messages
                assert (message.group, message.thread) == ("@reviewers", receipt.id)
                await bob.reply(message, "to you")
                await bob.reply(message, "to all", to=message.group)
            async with await alice.check() as replies:
                assert [(each.body, each.group) for each in replies] == [
                    ("to you", None),
                    ("to all", "@reviewers"),
                ]
                assert {each.thread for each in replies} == {receipt.id}
            assert (await alice.history())[-1].group == "@reviewers"

    run(talk)


def test_unknown_receivers_have_suggestions(home: DaemonProcess) -> None:
    """Names that may be meant are suggested; strictly, nothing is stored."""
    with Mailbox("alice") as alice, Mailbox("backend") as backend:
        backend.check()
        assert alice.send("backent", "one").suggestions == ["backend"]
        with pytest.raises(Refused) as refused:
            alice.send("frontend", "two", strict=True)
        assert refused.value.code == "unknown-recipient"


def test_endless_exchanges_are_held(home: DaemonProcess) -> None:
    """The receipt tells, from the twelfth and from the fortieth on."""
    home.settings |= {"guardAfter": 2, "holdAfter": 3}
    home.restart()
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        for name in ("alice", "bob"):
            session = {"sessionId": f"session-{name}", "name": name}
            alice.run(Call("POST", "/v1/session", lambda found: found["name"], body=session))
        receipts = [mailbox.send(to, "thanks") for mailbox, to in ((alice, "bob"), (bob, "alice"))]
        receipts += [alice.send("bob", "thanks", key="k"), alice.send("bob", "thanks", key="k")]
        assert [each.state for each in receipts] == ["queued", "queued", "held", "held"]
        assert [each.is_duplicate for each in receipts] == [False, False, False, True]
        assert receipts[1].guard is not None
        assert receipts[1].guard["used"] == 2
