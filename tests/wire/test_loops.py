"""Limits on what is written to sessions, over REST; and receivers that nobody knows."""

from itertools import cycle

from wire.conftest import Fresh
from wire.mail import Mail
from wire.test_groups import session


def fill(mail: Mail, one: str, other: str, number: int) -> list[dict[str, object]]:
    """Let two sessions write to each other in turn; return the answers."""
    pairs = cycle([(one, other), (other, one)])
    return [mail.send(*pair, "thanks") for _, pair in zip(range(number), pairs, strict=False)]


def prompt(mail: Mail, name: str) -> None:
    """Let the user of a session enter a prompt."""
    event = {"sessionId": f"{name}-id", "state": "working", "beginsTurn": True, "byUser": True}
    assert mail.request("POST", "/v1/session/event", content=event).status == 200


class TestLoops:
    def test_two_sessions_are_told_and_then_held(self, mail: Mail, fresh: Fresh) -> None:
        """The answers say why, and what to do; a prompt lets the messages through."""
        one, other = session(mail, fresh("one")), session(mail, fresh("other"))
        answers = fill(mail, one, other, 41)
        told = [number for number, answer in enumerate(answers, 1) if "guard" in answer]
        assert told == [12, 13, 40, 41]
        guard = answers[11]["guard"]
        assert isinstance(guard, dict)
        assert (guard["used"], guard["limit"]) == (12, 40)
        assert guard["resetsAt"] > answers[11]["sentAt"]
        assert "12 messages within 10 minutes without a prompt" in guard["note"]
        assert [answer["state"] for answer in answers[38:]] == ["queued", "held", "held"]
        held = answers[39]["guard"]
        assert isinstance(held, dict)
        assert "resetsAt" not in held
        assert "'claude-mailbox held release'" in held["note"]
        assert mail.status(other, int(str(answers[39]["id"])))["state"] == "held"
        rows = mail.request("GET", "/v1/held").json()
        mine = [row for row in rows if row["from"] in (one, other)]
        assert [(row["id"], row["from"], row["to"]) for row in mine] == [
            (answers[39]["id"], other, one),
            (answers[40]["id"], one, other),
        ]
        assert len(mail.check(one)) == 19
        prompt(mail, other)
        assert len(mail.check(one)) == 1

    def test_the_user_releases_held_messages(self, mail: Mail, fresh: Fresh) -> None:
        one, other = session(mail, fresh("one")), session(mail, fresh("other"))
        number = fill(mail, one, other, 40)[-1]["id"]
        reply = mail.request("POST", "/v1/held/release", content={"name": one})
        assert reply.json() == {"released": [number]}

    def test_no_session_releases_held_messages(self, mail: Mail, fresh: Fresh) -> None:
        """Otherwise a loop would go on by itself."""
        one, other = session(mail, fresh("one")), session(mail, fresh("other"))
        fill(mail, one, other, 40)
        reply = mail.request(
            "POST", "/v1/held/release", content={}, headers={"X-Mailbox-Session": f"{one}-id"}
        )
        assert (reply.status, reply.json()["reason"]) == (403, "forbidden")
        assert mail.request("POST", "/v1/held/release", content={"name": one}).status == 200

    def test_too_many_messages_a_minute_are_refused(self, mail: Mail, fresh: Fresh) -> None:
        """The answer says when to go on, for people and for programs."""
        to, sender = session(mail, fresh("to")), fresh("script")
        for _ in range(60):
            mail.send(sender, to)
        reply = mail.request("POST", "/v1/send", sender, content={"to": to, "body": "x"})
        assert (reply.status, reply.json()["reason"]) == (429, "too-many-messages")
        assert reply.json()["retryAt"] in reply.json()["error"]
        assert 50 <= int(reply.headers["retry-after"]) <= 60
        assert mail.peek(to)["pending"] == 60


class TestUnknownReceivers:
    def test_an_unknown_receiver_gives_suggestions(self, mail: Mail, fresh: Fresh) -> None:
        name = session(mail, fresh("quokka-enclosure"))
        answer = mail.send(fresh("me"), name[:-1] + "X")
        assert name in answer["recipient"]["suggestions"]
        assert "suggestions" not in mail.send(fresh("me"), name)["recipient"]

    def test_strict_refuses_an_unknown_receiver(self, mail: Mail, fresh: Fresh) -> None:
        name = session(mail, fresh("wombat-burrow"))
        content = {"to": name[:-1] + "X", "body": "x", "strict": True}
        reply = mail.request("POST", "/v1/send", fresh("me"), content=content)
        assert (reply.status, reply.json()["reason"]) == (404, "unknown-recipient")
        assert name in reply.json()["suggestions"]
        assert mail.send(fresh("me"), name, strict=True)["recipient"]["known"]
        for value in ("yes", 1, []):
            content = {"to": name, "body": "x", "strict": value}
            assert mail.request("POST", "/v1/send", fresh("me"), content=content).status == 400
