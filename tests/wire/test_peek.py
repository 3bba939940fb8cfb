"""``GET /v1/peek``: how many messages wait, and with ``bodies=true`` their texts."""

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.connection import path
from wire.mail import Mail


def look(mail: Mail, name: str) -> list[tuple[object, ...]]:
    """Return body, state and attempts of what waits; take nothing."""
    reply = mail.request("GET", path("/v1/peek", name=name, bodies="true"), name)
    assert reply.status == 200
    content = reply.json()
    assert content["pending"] == len(content["messages"])
    return [(each["body"], each["state"], each["attempts"]) for each in content["messages"]]


def test_shows_what_waits_in_the_order_of_delivery(mail: Mail, fresh: Fresh) -> None:
    """Not what is leased, delivered or sent."""
    name = fresh("me")
    for body in ("delivered", "leased", "first", "second"):
        mail.send("sender", name, body)
    mail.check(name, limit=1)
    (leased,) = mail.check(name, limit=1, lease=60)
    mail.send(name, fresh("other"), "sent")

    assert look(mail, name) == [("first", "waiting", 0), ("second", "waiting", 0)]
    mail.outcome("release", name, leased["lease"])
    assert look(mail, name)[0] == ("leased", "waiting", 1)
    assert mail.bodies(name) == ["leased", "first", "second"]


def test_shows_urgent_mail_first(mail: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    mail.send("sender", name, "normal")
    mail.send("sender", name, "urgent", urgency="high")
    mail.send("sender", name, "later", delay=600)

    assert [body for body, _, _ in look(mail, name)] == ["urgent", "normal"]
    assert mail.bodies(name) == ["urgent", "normal"]


def test_makes_no_mailbox_and_notes_no_presence(mail: Mail, fresh: Fresh) -> None:
    new, known = fresh("new"), fresh("known")
    mail.send("sender", known)

    assert look(mail, new) == []
    assert len(look(mail, known)) == 1

    rows = mail.rows()
    assert new not in rows
    assert rows[known]["lastSeenAt"] is None


def test_is_for_the_owner_alone(mail: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    target = path("/v1/peek", name=name, bodies="true")
    mail.request("GET", target, fresh("other")).error(403, "name-mismatch")
    mail.request("GET", target).error(400, "bad-request")


def test_shows_at_most_as_much_as_is_handed_out_at_once() -> None:
    """The count is that of all."""
    with DaemonProcess() as daemon, Mail(("127.0.0.1", daemon.port)) as mail:
        for number in range(1001):
            mail.send("sender", "me", str(number))
        content = mail.request("GET", "/v1/peek?name=me&bodies=true", "me").json()
    assert content["pending"] == 1001
    assert [each["body"] for each in content["messages"]] == [str(n) for n in range(1000)]


def test_a_waiting_watcher_is_left_alone(connect: Connect, mail: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    watcher = connect()
    watcher.start_watch(name)
    mail.wait_for_waiters(1)
    assert look(mail, name) == []
    mail.send("sender", name)
    assert watcher.read().json()["body"] == "hello"


class TestCount:
    """Without ``bodies``."""

    def test_an_unknown_name_is_empty(self, mail: Mail, fresh: Fresh) -> None:
        """It is empty, and stays unknown."""
        name = fresh("nobody")

        assert mail.peek(name) == {"pending": 0, "oldestAt": None}
        assert name not in mail.rows()

    def test_counts_waiting_messages(self, mail: Mail, fresh: Fresh) -> None:
        """A count, and the time of the oldest; looking changes nothing."""
        name = fresh("me")
        first = mail.send("sender", name)
        mail.send("sender", name)

        for _ in range(2):
            assert mail.peek(name) == {"pending": 2, "oldestAt": first["sentAt"]}

    def test_does_not_count_leased_messages(self, mail: Mail, fresh: Fresh) -> None:
        """They are in somebody's hands."""
        name = fresh("me")
        mail.send("sender", name)
        second = mail.send("sender", name)
        mail.check(name, limit=1, lease=60)

        assert mail.peek(name) == {"pending": 1, "oldestAt": second["sentAt"]}

    @pytest.mark.parametrize("query", ["", "?name=", "?name=%20", "?name=a%00b", "?nom=x"])
    def test_without_a_name_it_is_refused(self, mail: Mail, query: str) -> None:
        """400 names the parameter."""
        assert "'name'" in mail.request("GET", f"/v1/peek{query}").error(400, "invalid-name")

    @pytest.mark.parametrize("query", ["?name=%ff", "?name=%ed%a0%80", "?name=a&name=b"])
    def test_a_malformed_query_is_refused(self, mail: Mail, query: str) -> None:
        """Neither bytes that are no text nor two names."""
        mail.request("GET", f"/v1/peek{query}").error(400, "bad-request")

    def test_a_query_of_thousands_of_parameters_is_refused(self, mail: Mail) -> None:
        """An absurd number of parameters is refused."""
        query = "&".join(f"p{number}=1" for number in range(3000))

        mail.request("GET", f"/v1/peek?{query}").error(400, "bad-request")
