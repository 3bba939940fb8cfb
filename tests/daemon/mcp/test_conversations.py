"""``send`` with a reply, a question and a wait for the answer, as models call it."""

import pytest

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from wire.conftest import Fresh
from wire.mail import Mail

pytestmark = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


def test_a_reply_needs_no_receiver(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """Its number may be text; what says nothing may be empty."""
    a, b = fresh("a"), fresh("b")
    number = mail.send(a, b)["id"]
    arguments = {"from": b, "to": "", "body": "done", "reply_to": str(number), "urgency": ""}
    assert rpc.call("send", arguments, era=era)["to"] == a
    (message,) = rpc.call("check_inbox", {"name": a}, era=era)["messages"]
    assert (message["replyTo"], message["thread"]) == (number, number)


def test_a_question_is_answered_in_the_call(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """And the answer comes nowhere else."""
    a, b = fresh("a"), fresh("b")
    arguments = {"from": a, "to": b, "body": "why?", "ask": 60, "wait": 40}
    rpc.begin_call("send", arguments, era=era)
    question = mail.watch(b)
    assert question is not None
    answer = mail.send(b, a, "because", replyTo=question["id"])
    result = rpc.answer()
    assert (result["id"], result["answer"]["body"]) == (question["id"], "because")
    status = mail.status(b, answer["id"], wait="delivered")
    assert (status["state"], status["by"]) == ("delivered", "mcp")
    assert mail.peek(a)["pending"] == 0


def test_a_long_answer_goes_on_in_the_next_parts(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    """It is delivered with the last one."""
    a, b = fresh("a"), fresh("b")
    arguments = {"from": a, "to": b, "body": "why?", "ask": 60, "wait": 40}
    rpc.begin_call("send", arguments, era=era)
    question = mail.watch(b)
    assert question is not None
    number = mail.send(b, a, "x" * 12_000, replyTo=question["id"])["id"]
    result = rpc.answer()
    assert (result["answer"]["part"], result["answer"]["parts"]) == (1, 2)
    assert "part 2" in result["next"]
    assert mail.status(b, number)["state"] == "leased"
    (rest,) = rpc.call("check_inbox", {"name": a, "part": 2}, era=era)["messages"]
    assert len(result["answer"]["body"] + rest["body"]) == 12_000
    assert mail.status(b, number, wait="delivered")["state"] == "delivered"


def test_without_an_answer_the_question_stays_open(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    a, b = fresh("a"), fresh("b")
    arguments = {"from": a, "to": b, "body": "why?", "ask": 60, "wait": 0}
    result = rpc.call("send", arguments, era=era)
    assert result["answer"] is None
    mail.send(b, a, "because", replyTo=result["id"])
    assert mail.bodies(a) == ["because"]


def test_mistakes_are_explained(rpc: Rpc, fresh: Fresh, era: str) -> None:
    to = fresh("to")
    for arguments, words in (
        ({"wait": 5}, "'ask'"),
        ({"urgency": "urgent"}, "low, normal, high"),
        ({"ask": "soon"}, "'ask'"),
        ({"reply_to": 10**9}, "neither sent nor got"),
    ):
        assert words in rpc.refuse(
            "send", {"from": "a", "to": to, "body": "x", **arguments}, era=era
        )
