"""``POST /v1/send``: the receipt, and what is refused."""

import json
from typing import Any

import pytest

from wire.conftest import Connect, Fresh
from wire.mail import Mail, is_now

# What a receipt says of a mailbox that is no session's.
NO_SESSION = {"state": "unknown", "wakes": False}


def test_the_receipt_has_all_fields(mail: Mail, fresh: Fresh) -> None:
    """All fields, and no more, for a send to a name that nobody has used."""
    sender, to = fresh("from"), fresh("to")

    receipt = mail.send(sender, to)

    assert isinstance(receipt.pop("id"), int)
    assert is_now(receipt.pop("sentAt"))
    receipt["recipient"].pop("suggestions", None)  # names of other tests that are close
    assert receipt == {
        "from": sender,
        "to": to,
        "state": "queued",
        "recipient": {
            "known": False,
            "lastSeenAt": None,
            "watching": False,
            "pending": 1,
            **NO_SESSION,
        },
    }


def test_numbers_grow(mail: Mail, fresh: Fresh) -> None:
    """Whoever sends to whom, a later message has a higher number."""
    ids = [mail.send(fresh("from"), fresh("to"))["id"] for _ in range(5)]

    assert ids == sorted(set(ids))


def test_names_are_trimmed(mail: Mail, fresh: Fresh) -> None:
    """Blanks around a name are no part of it, in the header and in the body."""
    sender, to = fresh("from"), fresh("to")

    receipt = mail.send(f"  {sender}  ", f"\t{to}\n")

    assert (receipt["from"], receipt["to"]) == (sender, to)


def test_names_may_have_any_letters(mail: Mail, fresh: Fresh) -> None:
    """In UTF-8 in the header."""
    sender, to = fresh("žofie ž"), fresh("日本")

    assert mail.send(sender, to)["from"] == sender
    assert mail.check(to)[0]["from"] == sender


def test_a_header_in_latin_1_is_understood(mail: Mail, fresh: Fresh) -> None:
    """What clients send that follow the old rule of HTTP."""
    name = fresh("jürgen")
    content = {"to": fresh("to"), "body": "x"}
    headers: dict[str, str | bytes] = {"X-Mailbox": name.encode("latin-1")}

    reply = mail.request("POST", "/v1/send", content=content, headers=headers)

    assert reply.json()["from"] == name


def test_a_receipt_says_when_the_recipient_was_seen(mail: Mail, fresh: Fresh) -> None:
    """Somebody has used the mailbox, so there is a time."""
    to = fresh("to")
    mail.check(to)

    recipient = mail.send("sender", to)["recipient"]

    assert is_now(recipient.pop("lastSeenAt"))
    assert recipient == {"known": True, "watching": False, "pending": 1, **NO_SESSION}


def test_mail_alone_does_not_make_a_recipient_known(mail: Mail, fresh: Fresh) -> None:
    """Known means used, not written to; pending counts what waits."""
    to = fresh("to")
    mail.send("sender", to)

    recipient = mail.send("sender", to)["recipient"]

    recipient.pop("suggestions", None)
    nobody = {"known": False, "lastSeenAt": None, "watching": False}
    assert recipient == {**nobody, "pending": 2, **NO_SESSION}


def test_pending_does_not_count_what_was_taken(mail: Mail, fresh: Fresh) -> None:
    """Neither delivered messages nor leased ones wait."""
    to = fresh("to")
    mail.send("sender", to)
    mail.check(to)
    mail.send("sender", to)
    mail.check(to, lease=60)

    assert mail.send("sender", to)["recipient"]["pending"] == 1


def test_a_receipt_says_that_the_recipient_is_watching(connect: Connect, fresh: Fresh) -> None:
    """Somebody waits at that moment, and gets the message."""
    mail, watcher = connect(), connect()
    to = fresh("to")
    watcher.start_watch(to)
    mail.wait_for_waiters(1)

    receipt = mail.send("sender", to)

    assert receipt["recipient"]["watching"] is True
    assert watcher.read().json()["id"] == receipt["id"]


def test_a_mailbox_may_write_to_itself(mail: Mail, fresh: Fresh) -> None:
    """A mailbox may write to itself; it is known, of course."""
    name = fresh("me")

    assert mail.send(name, name)["recipient"]["known"] is True
    assert mail.check(name)[0]["from"] == name


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(" ", id="blank"),
        pytest.param("line\nline\r\n\ttab", id="lines"),
        pytest.param("nul \0 and bell \a", id="control characters"),
        pytest.param("\u202e\u2028\ufeff\ufffe", id="odd characters"),
        pytest.param("😀" * 1000, id="beyond the basic plane"),
        pytest.param('{"json": ["in", "json"]}\\u0041', id="JSON"),
        pytest.param("</system-reminder><b>", id="markup"),
    ],
)
def test_bodies_arrive_as_they_were_sent(mail: Mail, fresh: Fresh, body: str) -> None:
    """Not a character is changed."""
    to = fresh("to")
    mail.send("sender", to, body)

    assert mail.bodies(to) == [body]


def test_the_largest_body_is_accepted(mail: Mail, fresh: Fresh) -> None:
    """1 MiB of UTF-8, even when JSON writes each character in six bytes."""
    to = fresh("to")
    body = "\0" * 1_048_576

    mail.send("sender", to, body)

    assert mail.bodies(to) == [body]


@pytest.mark.parametrize("body", ["x" * 1_048_577, "é" * 524_289])
def test_a_body_over_the_limit_is_refused(mail: Mail, fresh: Fresh, body: str) -> None:
    """Bytes count, not characters; nothing is stored."""
    to = fresh("to")

    reply = mail.request("POST", "/v1/send", "sender", content={"to": to, "body": body})

    sentence = reply.error(413, "too-large")
    assert "1048576" in sentence
    assert mail.peek(to)["pending"] == 0


def test_a_former_name_is_forwarded(mail: Mail, fresh: Fresh) -> None:
    """The receipt tells where the message went, and from which name."""
    old, new = fresh("old"), fresh("new")
    mail.check(old)
    mail.rename(old, new)

    receipt = mail.send("sender", old, "forward me")

    assert (receipt["to"], receipt["forwardedFrom"]) == (new, old)
    assert receipt["recipient"]["known"] is True
    assert mail.bodies(new) == ["forward me"]
    assert "forwardedFrom" not in mail.send("sender", new)


class TestMalformed:
    """400: something is missing or wrong, and the sentence names it."""

    def test_a_send_without_a_header_is_refused(self, mail: Mail) -> None:
        """Somebody has to be the sender."""
        reply = mail.request("POST", "/v1/send", content={"to": "x", "body": "y"})

        assert "X-Mailbox" in reply.error(400, "bad-request")

    def test_two_headers_are_refused(self, connect: Connect) -> None:
        """The sender is one."""
        mail = connect()
        data = b'{"to":"x","body":"y"}'
        mail.write(
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\nx-mailbox: b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )

        assert "once" in mail.read().error(400, "bad-request")

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            ({"body": "x"}, "'to'"),
            ({"to": "x"}, "'body'"),
            ({"to": "x", "body": ""}, "'body'"),
            ({"to": "", "body": "x"}, "'to'"),
            ({"to": "   ", "body": "x"}, "'to'"),
            ({"to": "x" * 129, "body": "x"}, "'to'"),
            ({}, "'to'"),
        ],
    )
    def test_a_missing_field_is_refused(
        self, mail: Mail, content: dict[str, str], word: str
    ) -> None:
        """Missing, empty and too long."""
        reply = mail.request("POST", "/v1/send", "sender", content=content)

        assert reply.status == 400
        assert word in reply.json()["error"]

    @pytest.mark.parametrize("value", [None, True, 1.5, [], ["x"], {}, {"x": "y"}])
    @pytest.mark.parametrize("field", ["to", "body", "idempotencyKey"])
    def test_a_wrong_type_is_refused(
        self, mail: Mail, fresh: Fresh, field: str, value: Any
    ) -> None:
        """Only strings, and numbers in their place, will do; a key of null is none."""
        to = fresh("to")
        content = {"to": to, "body": "x", field: value}

        reply = mail.request("POST", "/v1/send", "sender", content=content)

        if field == "idempotencyKey" and value is None:
            assert reply.status == 200
        else:
            assert reply.status == 400
            assert f"'{field}'" in reply.json()["error"]
            assert mail.peek(to)["pending"] == 0

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b" ", id="blank"),
            pytest.param(b"{", id="cut off"),
            pytest.param(b"[]", id="list"),
            pytest.param(b"null", id="null"),
            pytest.param(b'"text"', id="string"),
            pytest.param(b"{}{}", id="two"),
            pytest.param(b"{'to':'b','body':'x'}", id="single quotes"),
            pytest.param(b'{"to":"b","body":"\xff\xfe"}', id="no UTF-8"),
            pytest.param(b'{"to":"b","body":"\xed\xa0\x80"}', id="half a pair in UTF-8"),
            pytest.param('{"to":"b","body":"x"}'.encode("utf-16"), id="UTF-16"),
            pytest.param('{"to":"b","body":"x"}'.encode("utf-32"), id="UTF-32"),
            pytest.param(b'{"to":"b","body":"a\x00b"}', id="raw NUL"),
            pytest.param(b'{"to":' + b"[" * 20_000 + b"]" * 20_000 + b"}", id="deep lists"),
            pytest.param(b'{"to":' * 10_000 + b"1" + b"}" * 10_000, id="deep objects"),
            pytest.param(b'{"to":' + b"9" * 20_000 + b"}", id="a long number"),
            pytest.param(b'{"to":1e999999999,"body":"x"}', id="an infinite number"),
            pytest.param(b'{"to":NaN,"body":"x"}', id="no number"),
        ],
    )
    def test_what_is_not_a_json_object_is_refused(self, mail: Mail, body: bytes) -> None:
        """One sentence, and the connection goes on."""
        reply = mail.request("POST", "/v1/send", "sender", body=body)

        assert reply.status == 400
        assert len(reply.json()["error"]) < 300
        assert mail.health()["status"] == "ok"

    @pytest.mark.parametrize("field", ["to", "body", "idempotencyKey"])
    @pytest.mark.parametrize("half", [r"\ud800", r"x\udfffx", r"\udc00\ud800"])
    def test_half_a_surrogate_pair_is_refused(self, mail: Mail, field: str, half: str) -> None:
        """It is no text, though JSON can spell it."""
        content = json.dumps({"to": "b", "body": "x", field: "HALF"}).replace("HALF", half)

        reply = mail.request("POST", "/v1/send", "sender", body=content.encode())

        assert reply.status == 400

    @pytest.mark.parametrize(
        "name",
        ["a\0b", "a\nb", "a\x1b[31mb", "a\x7fb", "a\x9bb", "a\u2028b", "a\u202eb", "a\r\nX: y"],
    )
    def test_a_name_with_forbidden_characters_is_refused(self, mail: Mail, name: str) -> None:
        """They would let it break out of the line that it is shown on."""
        reply = mail.request("POST", "/v1/send", "sender", content={"to": name, "body": "x"})

        assert "U+" in reply.error(400, "invalid-name")

    @pytest.mark.parametrize("name", [b"", b"   ", b"a\x1bb", b"a\xc2\x85b", b"x" * 129])
    def test_a_header_with_a_malformed_name_is_refused(self, connect: Connect, name: bytes) -> None:
        """Some never get past the parser of HTTP."""
        reply = connect().request("GET", "/v1/list", headers={"X-Mailbox": name})

        assert reply.status == 400
        assert reply.body == b"" or len(reply.json()["error"]) > 10

    def test_unknown_fields_are_ignored(self, mail: Mail, fresh: Fresh) -> None:
        """A newer client may say more than we understand."""
        to = fresh("to")
        mail.send("sender", to, priority="high", **{"\ud800": 1})

        assert mail.bodies(to) == ["hello"]

    def test_a_byte_order_mark_is_ignored(self, mail: Mail, fresh: Fresh) -> None:
        """Some shells write one."""
        content = json.dumps({"to": fresh("to"), "body": "x"}).encode("utf-8-sig")

        assert mail.request("POST", "/v1/send", "sender", body=content).status == 200
