"""Requests as clients really send them: what can mean one thing only is taken for that."""

import pytest

from wire.conftest import Fresh
from wire.mail import Mail


def test_a_text_may_be_a_number(mail: Mail, fresh: Fresh) -> None:
    """A mailbox is called 42 as well as "42", and a message may say no more than that."""
    number = int.from_bytes(fresh("n").encode()[-6:])
    sent = mail.send("sender", number, 7)  # type: ignore[arg-type]
    assert sent["to"] == str(number)
    assert mail.bodies(str(number)) == ["7"]
    renamed = mail.request("POST", "/v1/rename", str(number), content={"to": number + 1})
    assert renamed.json()["to"] == str(number + 1)


@pytest.mark.parametrize("seconds", ["5", 5, 5.0, None, ""])
def test_a_number_may_be_text_null_or_empty(mail: Mail, fresh: Fresh, seconds: object) -> None:
    name = fresh("me")
    mail.send("sender", name)
    (message,) = mail.check(name, lease=60)
    content = {"leases": [message["lease"]], "seconds": seconds}
    reply = mail.request("POST", "/v1/extend", name, content=content)
    assert reply.json()["done"] == [message["lease"]]


@pytest.mark.parametrize("seconds", ["five", "1_0", "\N{ARABIC-INDIC DIGIT FIVE}", True, [5]])
def test_what_is_not_a_number_is_refused(mail: Mail, fresh: Fresh, seconds: object) -> None:
    content = {"leases": ["x"], "seconds": seconds}
    reply = mail.request("POST", "/v1/extend", fresh("me"), content=content)
    assert reply.error(400, "bad-request") == "'seconds' must be a number."


def test_empty_texts_count_as_not_given(mail: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    mail.send("sender", name)
    target = f"/v1/history?name={name}&q=&with=&thread=&since=&before="
    assert len(mail.request("GET", target, name).json()) == 1


def test_arguments_that_clients_add_are_ignored(mail: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    added = {"toolCallId": "1", "sessionId": "2", "action": "send"}
    mail.send("sender", name, "text", **added)
    assert [message["body"] for message in mail.check(name, **added)] == ["text"]


def test_a_session_may_give_null(mail: Mail, fresh: Fresh) -> None:
    content = {"sessionId": fresh("s"), "name": fresh("project"), "bell": None, "client": None}
    assert mail.request("POST", "/v1/session", content=content).status == 200
    event = {**content, "state": None, "beginsTurn": None, "transcript": None}
    assert mail.request("POST", "/v1/session/event", content=event).json() == {"unproved": []}


def test_a_message_id_may_be_a_float(mail: Mail) -> None:
    """JSON has only one kind of numbers."""
    reply = mail.request("POST", "/v1/parked/retry", content={"ids": [999_999_999.0]})
    assert reply.json() == {"done": []}
    refused = mail.request("POST", "/v1/parked/retry", content={"ids": [1.5]})
    assert refused.error(400, "bad-request") == "'ids' must be the number of a message."


def test_a_flag_is_true_or_false(mail: Mail) -> None:
    """Nothing is neither."""
    reply = mail.request("GET", "/v1/list?all=")
    assert reply.error(400, "bad-request") == "'all' must be true or false, not ''."


@pytest.mark.parametrize("text", ["👩‍💻 builds", "10\N{NO-BREAK SPACE}kB", "soft\N{SOFT HYPHEN}ly"])
def test_a_description_may_have_any_visible_character(mail: Mail, fresh: Fresh, text: str) -> None:
    reply = mail.request("POST", "/v1/describe", fresh("me"), content={"text": text})
    assert reply.json()["description"] == text


@pytest.mark.parametrize("character", ["\n", "\x98", "\u2028", "\u202e"])
def test_a_description_of_several_lines_is_refused(
    mail: Mail, fresh: Fresh, character: str
) -> None:
    content = {"text": f"a{character}b"}
    reply = mail.request("POST", "/v1/describe", fresh("me"), content=content)
    assert "one line" in reply.error(400, "bad-request")
