"""429: the quotas on pending messages, on watches and on mailboxes."""

from collections.abc import Iterator

import pytest

from support.daemon import DaemonProcess
from wire.connection import Reply
from wire.mail import Mail


@pytest.fixture(scope="module")
def small() -> Iterator[DaemonProcess]:
    """A daemon with little patience."""
    settings = {"maxPendingPerMailbox": 3, "maxWaitersPerMailbox": 2}
    with DaemonProcess(settings) as process:
        yield process


@pytest.fixture
def mails(small: DaemonProcess) -> Iterator[list[Mail]]:
    """Four connections."""
    opened = [Mail(("127.0.0.1", small.port)) for _ in range(4)]
    yield opened
    for mail in opened:
        mail.close()


def refused(reply: Reply, key: str) -> str:
    """Return the sentence of a 429, which names the setting and when to try again."""
    sentence = reply.error(429, "quota-full")
    assert key in sentence
    assert int(reply.headers["retry-after"]) > 0
    return sentence


def try_send(mail: Mail, sender: str, to: str, **more: object) -> Reply:
    """Send, and return whatever comes."""
    return mail.request("POST", "/v1/send", sender, content={"to": to, "body": "x", **more})


class TestPending:
    """``maxPendingPerMailbox``"""

    def test_one_too_many(self, mails: list[Mail]) -> None:
        """Nothing is stored; other mailboxes are not concerned."""
        mail = mails[0]
        for number in range(3):
            mail.send("a", "full", str(number))

        sentence = refused(try_send(mail, "a", "full"), "maxPendingPerMailbox")

        assert "'full'" in sentence
        assert mail.send("a", "other")["recipient"]["pending"] == 1
        assert mail.bodies("full") == ["0", "1", "2"]
        mail.send("a", "full")

    def test_leased_messages_count_as_pending(self, mails: list[Mail]) -> None:
        """They may come back."""
        mail = mails[0]
        for _ in range(3):
            mail.send("a", "leased")
        tokens = [message["lease"] for message in mail.check("leased", lease=60)]

        refused(try_send(mail, "a", "leased"), "maxPendingPerMailbox")

        mail.outcome("ack", "leased", tokens[0])
        assert try_send(mail, "a", "leased").status == 200

    def test_a_repeated_key_is_answered_though_the_mailbox_is_full(self, mails: list[Mail]) -> None:
        """It stores nothing."""
        mail = mails[0]
        first = mail.send("a", "keyed", "x", idempotencyKey="k")
        for _ in range(2):
            mail.send("a", "keyed")

        assert try_send(mail, "a", "keyed", idempotencyKey="k").json()["id"] == first["id"]

    def test_a_refused_key_can_be_used_again(self, mails: list[Mail]) -> None:
        """The refusal is not the first answer."""
        mail = mails[0]
        for _ in range(3):
            mail.send("a", "retried")
        refused(try_send(mail, "a", "retried", idempotencyKey="again"), "maxPendingPerMailbox")
        mail.check("retried")

        assert "duplicate" not in try_send(mail, "a", "retried", idempotencyKey="again").json()
        assert mail.peek("retried")["pending"] == 1

    def test_sends_at_once_store_no_more_than_the_limit(self, mails: list[Mail]) -> None:
        """Forty sends on four connections: three are stored."""
        for _ in range(10):
            for mail in mails:
                content = {"to": "crowd", "body": "x"}
                mail.start("POST", "/v1/send", "a", content=content)

        statuses = [mail.read().status for mail in mails for _ in range(10)]

        assert sorted(statuses) == [200] * 3 + [429] * 37
        assert mails[0].peek("crowd")["pending"] == 3


class TestWaiters:
    """``maxWaitersPerMailbox``"""

    def test_one_too_many(self, mails: list[Mail]) -> None:
        """Those who wait go on; the next one may when somebody has left."""
        mail, first, second, third = mails
        for number, watcher in enumerate((first, second), 1):
            watcher.start_watch("line")
            mail.wait_for_waiters(number)

        sentence = refused(
            third.request("GET", "/v1/watch?name=line&timeout=60", "line"), "maxWaitersPerMailbox"
        )

        assert "'line'" in sentence
        mail.send("a", "line", "first")
        assert first.read().json()["body"] == "first"
        mail.wait_for_waiters(1)
        third.start_watch("line")
        mail.wait_for_waiters(2)
        second.close()
        mail.wait_for_waiters(1)
        mail.send("a", "line", "third")
        assert third.read().json()["body"] == "third"

    def test_a_watch_with_timeout_0_counts(self, mails: list[Mail]) -> None:
        """A time-out of 0 stands in line, too, for a moment."""
        mail, first, second, _ = mails
        for number, watcher in enumerate((first, second), 1):
            watcher.start_watch("look")
            mail.wait_for_waiters(number)

        refused(mail.request("GET", "/v1/watch?name=look&timeout=0", "look"), "maxWaiters")

        first.close()
        second.close()
        mail.wait_for_waiters(0)
        assert mail.watch("look", timeout=0) is None

    def test_a_stream_counts_as_a_waiter(self, mails: list[Mail]) -> None:
        """``follow`` waits as ``watch`` does, and finds the line full before it begins."""
        mail, first, second, third = mails
        for number, watcher in enumerate((first, second), 1):
            watcher.start_watch("stream")
            mail.wait_for_waiters(number)

        refused(third.request("GET", "/v1/follow?name=stream", "stream"), "maxWaitersPerMailbox")


class TestMailboxes:
    """``maxMailboxes``"""

    @pytest.fixture
    def mail(self) -> Iterator[Mail]:
        """A daemon with as many mailboxes as it may have."""
        with DaemonProcess({"maxMailboxes": 2}) as daemon, Mail(("127.0.0.1", daemon.port)) as mail:
            mail.send("a", "b")
            yield mail

    def test_one_more_mailbox_is_refused(self, mail: Mail) -> None:
        """Whoever would make it: who writes to it, who uses it, and a session."""
        refused(try_send(mail, "a", "new"), "maxMailboxes")
        refused(mail.request("GET", "/v1/list", "new"), "maxMailboxes")
        content = {"sessionId": "1", "name": "new"}
        refused(mail.request("POST", "/v1/session", content=content), "maxMailboxes")

        assert [row["name"] for row in mail.request("GET", "/v1/list", "a").json()] == ["a", "b"]

    def test_existing_mailboxes_still_work(self, mail: Mail) -> None:
        mail.send("a", "b", "again")
        assert mail.bodies("b") == ["hello", "again"]
        mail.rename("b", "c")
        mail.send("a", "b", "forwarded")
        assert mail.bodies("c") == ["forwarded"]
