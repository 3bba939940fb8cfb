"""Replies, questions, urgency and times by REST."""

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh, address_of
from wire.connection import Connection, path
from wire.mail import Mail, parse_time


def test_a_delivery_tells_what_it_belongs_to(mail: Mail, fresh: Fresh) -> None:
    """And a plain one tells nothing more than before."""
    a, b = fresh("a"), fresh("b")
    first = mail.send(a, b)["id"]
    (plain,) = mail.check(b)
    assert set(plain) == {"id", "from", "body", "sentAt", "attempts"}
    reply = mail.request(
        "POST", "/v1/send", b, content={"replyTo": first, "body": "done", "urgency": "high"}
    ).json()
    assert reply["to"] == a
    (message,) = mail.check(a)
    assert (message["thread"], message["replyTo"], message["urgency"]) == (first, first, "high")
    assert mail.status(a, first)["repliedBy"] == reply["id"]
    assert [entry["id"] for entry in mail.history(a, thread=first)] == [reply["id"], first]
    assert mail.history(a, thread=first)[0]["thread"] == first


def test_a_question_tells_when_an_answer_is_wanted(mail: Mail, fresh: Fresh) -> None:
    a, b = fresh("a"), fresh("b")
    question = mail.send(a, b, "why?", ask=60)
    (message,) = mail.check(b)
    wanted = parse_time(message["answerBy"]) - parse_time(question["sentAt"])
    assert wanted.total_seconds() == 60
    mail.send(b, a, "a moment", replyTo=question["id"], final=False)
    (news,) = mail.check(a)
    assert news["final"] is False
    mail.send(b, a, "because", replyTo=question["id"])
    assert mail.status(a, question["id"])["outcome"] == "answered"


@pytest.mark.parametrize("lease", [None, 30])
def test_an_asker_waits_for_the_answer(
    mail: Mail, connect: Connect, fresh: Fresh, lease: int | None
) -> None:
    """It is delivered by that response, or by an ack; and comes nowhere else."""
    a, b = fresh("a"), fresh("b")
    asking = connect()
    content = {"to": b, "body": "why?", "ask": 60}
    parameters = {} if lease is None else {"lease": lease}
    asking.start("POST", path("/v1/send", wait=60, **parameters), a, content=content)
    question = mail.watch(b)
    assert question is not None
    answer = mail.send(b, a, "because", replyTo=question["id"])
    reply = asking.read()
    assert reply.status == 200
    got = reply.json()
    assert (got["id"], got["answer"]["body"]) == (question["id"], "because")
    assert mail.peek(a)["pending"] == 0
    if lease is not None:
        assert mail.status(b, answer["id"])["state"] == "leased"
        mail.outcome("ack", a, got["answer"]["lease"])
    assert mail.status(b, answer["id"], wait="delivered")["state"] == "delivered"


def test_an_asker_who_hangs_up_gets_the_answer_as_mail(
    mail: Mail, connect: Connect, fresh: Fresh
) -> None:
    a, b = fresh("a"), fresh("b")
    asking = connect()
    asking.start("POST", path("/v1/send", wait=60), a, content={"to": b, "body": "?", "ask": 60})
    question = mail.watch(b)
    assert question is not None
    asking.close()
    mail.send(b, a, "because", replyTo=question["id"])
    message = mail.watch(a)
    assert message is not None
    assert message["body"] == "because"


def test_an_answer_that_does_not_come_in_time_leaves_the_question_open(
    mail: Mail, fresh: Fresh
) -> None:
    """The notice comes at the question's own time, into the response of whoever waits."""
    a, b = fresh("a"), fresh("b")
    content = {"to": b, "body": "why?", "ask": 1, "idempotencyKey": "k"}
    first = mail.request("POST", path("/v1/send", wait=0), a, content=content).json()
    assert first["answer"] is None
    again = mail.request("POST", path("/v1/send", wait=60), a, content=content).json()
    assert (again["id"], again["duplicate"], again["answer"]) == (first["id"], True, None)
    assert (again["notice"]["notice"], again["notice"]["from"]) == ("timed-out", "claude-mailbox")
    assert mail.check(a) == []
    assert mail.status(a, first["id"])["outcome"] == "timed-out"


def test_of_two_that_would_wait_for_each_other_the_second_is_refused(
    mail: Mail, connect: Connect, fresh: Fresh
) -> None:
    a, b = fresh("a"), fresh("b")
    asking = connect()
    asking.start("POST", path("/v1/send", wait=60), a, content={"to": b, "body": "?", "ask": 60})
    assert mail.watch(b) is not None
    content = {"to": a, "body": "?", "ask": 60}
    refused = mail.request("POST", path("/v1/send", wait=60), b, content=content)
    assert (refused.status, refused.json()["reason"]) == (409, "mutual-ask")


@pytest.mark.parametrize(
    "more",
    [
        {"ask": 0},
        {"ask": 86_401},
        {"ask": "sixty"},
        {"ask": True},
        {"urgency": "urgent"},
        {"urgency": 1},
        {"ttl": 0},
        {"delay": -1},
        {"final": "no"},
        {"replyTo": "x"},
        {"replyTo": 0},
    ],
)
def test_malformed_fields_are_named(mail: Mail, fresh: Fresh, more: dict[str, object]) -> None:
    content = {"to": fresh("to"), "body": "x", **more}
    reply = mail.request("POST", "/v1/send", "a", content=content)
    assert reply.status == 400
    assert f"'{next(iter(more))}'" in reply.json()["error"]


def test_only_a_question_has_an_answer_to_wait_for(mail: Mail, fresh: Fresh) -> None:
    content = {"to": fresh("to"), "body": "x"}
    reply = mail.request("POST", path("/v1/send", wait=5), "a", content=content)
    assert (reply.status, "'ask'" in reply.json()["error"]) == (400, True)


def test_a_restart_forgets_no_question(fresh: Fresh) -> None:
    """Its time runs on, and what comes of it is told."""
    with DaemonProcess() as process:
        with Mail(address_of(process)) as mail:
            number = mail.send("a", "b", "why?", ask=2)["id"]
            answered = mail.send("a", "b", "and this?", ask=600)["id"]
        process.restart()
        with Mail(address_of(process)) as mail:
            notice = mail.watch("a", timeout=30)
            assert notice is not None
            assert (notice["notice"], notice["replyTo"]) == ("timed-out", number)
            mail.send("b", "a", "because", replyTo=answered)
            assert mail.status("a", answered)["outcome"] == "answered"


def test_parked_messages_are_listed_retried_and_dropped() -> None:
    with DaemonProcess({"maxAttempts": 1}) as process, Mail(address_of(process)) as mail:
        numbers = [mail.send("a", "b", str(number))["id"] for number in range(2)]
        for message in mail.check("b", lease=60):
            mail.outcome("release", "b", message["lease"])
        assert mail.check("b") == []
        parked = mail.request("GET", path("/v1/parked", name="b")).json()
        assert [row["id"] for row in parked] == numbers
        assert parked[0]["state"] == "parked"
        assert [notice["notice"] for notice in mail.check("a")] == ["parked", "parked"]
        assert post(mail, "retry", numbers[:1]) == numbers[:1]
        assert post(mail, "drop", numbers) == numbers[1:]
        assert mail.bodies("b") == ["0"]
        assert mail.status("a", numbers[1])["state"] == "deleted"


def post(mail: Connection, verb: str, numbers: list[int]) -> object:
    """Retry or drop parked messages; return those that were."""
    content = {"ids": numbers}
    return mail.request("POST", f"/v1/parked/{verb}", content=content).json()["done"]
