"""``GET /v1/history``: what a mailbox sent and got, newest first."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Fresh, address_of
from wire.connection import path
from wire.mail import Mail, parse_time


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    """Return what they say."""
    return [message["body"] for message in messages]


def test_history_has_what_was_sent_and_got_newest_first(mail: Mail, fresh: Fresh) -> None:
    """And nothing of what others exchange."""
    own, peer, other = fresh("own"), fresh("peer"), fresh("other")
    mail.send(own, peer, "1")
    mail.send(peer, own, "2")
    mail.send(peer, other, "not mine")
    mail.send(own, own, "3")
    mail.check(peer)
    first, second, third = reversed(mail.history(own))
    assert [bodies([each])[0] for each in (first, second, third)] == ["1", "2", "3"]
    assert (first["from"], first["to"], first["state"], first["by"]) == (
        own,
        peer,
        "delivered",
        "check",
    )
    assert (second["from"], second["to"], second["state"]) == (peer, own, "waiting")
    assert {key: value for key, value in first.items() if key != "body"} == mail.status(
        own, first["id"]
    )


def test_history_takes_no_mail(mail: Mail, fresh: Fresh) -> None:
    own = fresh("own")
    mail.send("a", own, "still there")
    assert bodies(mail.history(own)) == ["still there"]
    assert mail.bodies(own) == ["still there"]


def test_history_comes_in_pages(mail: Mail, fresh: Fresh) -> None:
    """``before`` goes on where a page ended, and a header tells whether there is more."""
    own = fresh("own")
    for number in range(5):
        mail.send("a", own, str(number))
    pages = []
    before = None
    more = "true"
    while more == "true":
        reply = mail.request("GET", path("/v1/history", name=own, limit=2, before=before), own)
        more = reply.headers["x-mailbox-more"]
        pages.append(bodies(reply.json()))
        before = reply.json()[-1]["id"]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert more == "false"


def test_there_are_50_by_default_and_500_at_most(mail: Mail, fresh: Fresh) -> None:
    own = fresh("own")
    for number in range(501):
        mail.send("a", own, str(number))
    assert len(mail.history(own)) == 50
    assert len(mail.history(own, limit=10_000)) == 500


def test_with_selects_one_mailbox(mail: Mail, fresh: Fresh) -> None:
    """In both directions, by its present name, a former one, and that of a deleted one."""
    own, peer, other = fresh("own"), fresh("peer"), fresh("other")
    mail.send(own, peer, "to the peer")
    mail.send(peer, own, "from the peer")
    mail.send(other, own, "from another")
    assert bodies(mail.history(own, **{"with": peer})) == ["from the peer", "to the peer"]
    assert bodies(mail.history(own, q="from", **{"with": peer})) == ["from the peer"]
    assert mail.history(own, **{"with": fresh("nobody")}) == []
    new = fresh("new")
    mail.rename(peer, new)
    for name in (peer, new):
        assert len(mail.history(own, **{"with": name})) == 2
    mail.check(own)
    mail.check(new)
    assert mail.delete(new)
    assert len(mail.history(own, **{"with": new})) == 2


def test_since_selects_by_time(mail: Mail, fresh: Fresh) -> None:
    own = fresh("own")
    mail.send("a", own, "old")
    sent_at = parse_time(mail.send("a", own, "new")["sentAt"])
    later = sent_at + timedelta(milliseconds=1)
    assert "new" in bodies(mail.history(own, since=sent_at.isoformat()))
    assert mail.history(own, since=later.isoformat()) == []
    assert len(mail.history(own, since=datetime(2001, 1, 1).isoformat() + "Z")) == 2


def test_thread_and_group_select_messages(mail: Mail, fresh: Fresh) -> None:
    """A message that replies to none begins a thread."""
    own = fresh("own")
    first = mail.send("a", own, "first")["id"]
    mail.send("a", own, "second")
    assert bodies(mail.history(own, thread=first)) == ["first"]
    assert bodies(mail.history(own, thread=first, q="first")) == ["first"]
    assert mail.history(own, thread=first, q="second") == []
    assert mail.history(own, thread=first, before=first) == []
    assert mail.history(fresh("other"), thread=first) == []
    assert mail.history(own, group="@all") == []


def test_a_number_that_is_too_large_reaches_nobody_elses_mail(mail: Mail, fresh: Fresh) -> None:
    """Whatever bits it has."""
    own, other = fresh("own"), fresh("other")
    mail.send(own, own, "mine")
    number = mail.send(other, other, "theirs")["id"]
    for mailbox_bits in range(40, 63):
        thread = number | 1 << mailbox_bits
        assert mail.history(own, thread=thread, q="theirs") == []
        assert mail.history(own, thread=thread) == []


class TestCharacters:
    def test_max_chars_gives_whole_messages(self, mail: Mail, fresh: Fresh) -> None:
        """With 200 for the frame of each."""
        own = fresh("own")
        for body in ("x" * 100, "y" * 100, "z" * 100):
            mail.send("a", own, body)
        assert bodies(mail.history(own, maxChars=600)) == ["z" * 100, "y" * 100]
        assert len(mail.history(own, maxChars=900)) == 3

    def test_the_first_is_cut_and_says_so(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        mail.send("a", own, "a long text")
        mail.send("a", own, "next")
        (first,) = mail.history(own, maxChars=201)
        assert (first["body"], first["bodyLength"]) == ("n", 4)
        (first,) = mail.history(own, maxChars=0)
        assert (first["body"], first["bodyLength"]) == ("", 4)
        (first,) = mail.history(own, maxChars=204)
        assert (first["body"], first.get("bodyLength")) == ("next", None)

    def test_megabytes_come_in_pages(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        for _ in range(9):
            mail.send("a", own, "x" * 1_000_000)
        assert len(mail.history(own)) == 8


class TestSearch:
    def test_all_words_must_be_there(self, mail: Mail, fresh: Fresh) -> None:
        """In any order; case, accents and signs make no difference."""
        own = fresh("own")
        mail.send("a", own, "The tests of main.py are GREEN.")
        mail.send("a", own, "Die Tests sind grün")
        assert len(mail.history(own, q="tests")) == 2
        assert bodies(mail.history(own, q="green TESTS")) == ["The tests of main.py are GREEN."]
        assert bodies(mail.history(own, q="GRUN")) == ["Die Tests sind grün"]
        assert bodies(mail.history(own, q="main.py")) == ["The tests of main.py are GREEN."]
        assert mail.history(own, q="tests red") == []
        assert mail.history(own, q="test") == []

    def test_a_phrase_in_quotes_stands_together(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        mail.send("a", own, "one two three")
        mail.send("a", own, "two one three")
        assert bodies(mail.history(own, q='"one two"')) == ["one two three"]
        assert bodies(mail.history(own, q='three "two one"')) == ["two one three"]
        assert bodies(mail.history(own, q='"one two')) == ["one two three"]

    def test_only_ones_own_mail_is_found(self, mail: Mail, fresh: Fresh) -> None:
        own, other = fresh("own"), fresh("other")
        word = fresh("secret").replace("-", "")
        mail.send("a", other, word)
        mail.send("a", own, f"mine {word}")
        assert bodies(mail.history(own, q=word)) == [f"mine {word}"]

    @pytest.mark.parametrize(
        "words",
        [
            "!!!",
            '"',
            '""',
            "AND",
            "NOT x",
            "(",
            "text:x",
            "peer:p1",
            "x*",
            "^",
            "{a b}:c",
            "-",
            "\x00",
            "w " * 250,
        ],
    )
    def test_operators_of_the_index_are_ordinary_words(
        self, mail: Mail, fresh: Fresh, words: str
    ) -> None:
        """They are words like others, or signs that are none."""
        own = fresh("own")
        mail.send("a", own, "something else")
        assert mail.history(own, q=words) == []

    def test_without_words_all_is_found(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        mail.send("a", own)
        assert len(mail.history(own, q="")) == 1
        assert len(mail.history(own, q=" ")) == 1

    def test_a_search_comes_in_pages(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        for number in range(3):
            mail.send("a", own, f"word {number}")
        first, second = mail.history(own, q="word", limit=2)
        assert (first["body"], second["body"]) == ("word 2", "word 1")
        assert bodies(mail.history(own, q="word", before=second["id"])) == ["word 0"]

    def test_it_finds_what_was_sent_before_a_crash(self, fresh: Fresh) -> None:
        """Whether it was indexed by then, or not."""
        with DaemonProcess() as daemon:
            with Mail(address_of(daemon)) as mail:
                mail.send("a", "b", "early word")
                assert len(mail.history("b", q="word")) == 1
                mail.send("a", "b", "late word")
            daemon.kill()
            daemon.start()
            with Mail(address_of(daemon)) as mail:
                assert bodies(mail.history("b", q="word")) == ["late word", "early word"]


class TestIdentity:
    def test_the_name_must_be_ones_own(self, mail: Mail, fresh: Fresh) -> None:
        own = fresh("own")
        reply = mail.request("GET", path("/v1/history", name=own), fresh("other"))
        reply.error(403, "name-mismatch")
        mail.request("GET", path("/v1/history", name=own)).error(400, "bad-request")
        mail.request("GET", "/v1/history", own).error(400, "invalid-name")

    def test_a_renamed_mailbox_keeps_its_history(self, mail: Mail, fresh: Fresh) -> None:
        old, new = fresh("old"), fresh("new")
        mail.send("a", old, "before")
        mail.rename(old, new)
        mail.send("a", new, "after")
        for name in (old, new):
            messages = mail.history(name)
            assert bodies(messages) == ["after", "before"]
            assert {message["to"] for message in messages} == {new}

    def test_a_deleted_mailbox_finds_its_history_again(self, mail: Mail, fresh: Fresh) -> None:
        """When its name is used again, as by a session that is resumed."""
        own = fresh("own")
        mail.send("a", own, "said before")
        mail.check(own)
        assert mail.delete(own)
        assert bodies(mail.history(own, q="said")) == ["said before"]
        mail.send("a", own, "said after")
        assert bodies(mail.history(own)) == ["said after", "said before"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": 0},
        {"limit": "many"},
        {"maxChars": -1},
        {"before": "x"},
        {"thread": "0"},
        {"since": "yesterday"},
        {"since": "2026-11-27T12:00:00"},
        {"since": "2026-13-01T12:00:00Z"},
        {"q": "x" * 501},
    ],
)
def test_malformed_parameters_are_refused(
    mail: Mail, fresh: Fresh, parameters: dict[str, object]
) -> None:
    """With a sentence that names them."""
    own = fresh("own")
    (name,) = parameters
    reply = mail.request("GET", path("/v1/history", name=own, **parameters), own)
    assert f"'{name}'" in reply.error(400, "bad-request")
