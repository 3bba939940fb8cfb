"""``GET /v1/message``: what became of a message, for its sender and receiver."""

import threading
from collections.abc import Callable

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh, address_of
from wire.connection import Connection, path
from wire.mail import Mail, is_now


def test_a_message_waits_is_leased_and_is_delivered(mail: Mail, fresh: Fresh) -> None:
    """Sender and receiver are told the same."""
    sender, to = fresh("sender"), fresh("to")
    number = mail.send(sender, to)["id"]
    waiting = mail.status(sender, number)
    assert is_now(waiting.pop("sentAt"))
    assert waiting == {"id": number, "from": sender, "to": to, "state": "waiting", "attempts": 0}
    (message,) = mail.check(to, lease=60)
    leased = mail.status(to, number)
    assert (leased["state"], leased["attempts"]) == ("leased", 1)
    assert "by" not in leased
    mail.outcome("ack", to, message["lease"])
    delivered = mail.status(sender, number)
    assert (delivered["state"], delivered["attempts"], delivered["by"]) == ("delivered", 1, "check")
    assert is_now(delivered["deliveredAt"])
    assert delivered == mail.status(to, number)


def test_a_released_message_waits_again(mail: Mail, fresh: Fresh) -> None:
    to = fresh("to")
    number = mail.send("a", to)["id"]
    (message,) = mail.check(to, lease=60)
    mail.outcome("release", to, message["lease"])
    status = mail.status("a", number)
    assert (status["state"], status["attempts"]) == ("waiting", 1)
    assert "by" not in status


def take_by_check(mail: Mail, to: str) -> None:
    mail.check(to)


def take_by_watch(mail: Mail, to: str) -> None:
    mail.watch(to)


def take_by_leased_watch(mail: Mail, to: str) -> None:
    message = mail.watch(to, lease=60)
    assert message is not None
    mail.outcome("ack", to, message["lease"])


def take_by_mcp(mail: Mail, to: str) -> None:
    call = {"name": "check_inbox", "arguments": {"name": to}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream"}
    assert mail.request("POST", "/mcp", content=request, headers=headers).status == 200


@pytest.mark.parametrize(
    ("take", "way"),
    [
        (take_by_check, "check"),
        (take_by_watch, "watch"),
        (take_by_leased_watch, "watch"),
        (take_by_mcp, "mcp"),
    ],
)
def test_the_way_of_the_delivery_is_told(
    mail: Mail, fresh: Fresh, take: Callable[[Mail, str], None], way: str
) -> None:
    to = fresh("to")
    number = mail.send("a", to)["id"]
    take(mail, to)
    assert mail.status("a", number)["by"] == way


def test_a_message_of_other_people_is_not_found(mail: Mail, fresh: Fresh) -> None:
    """As one that does not exist."""
    number = mail.send("a", "b")["id"]
    for message in (number, 2**40, 2**62):
        reply = mail.request("GET", path("/v1/message", id=message), fresh("other"))
        assert str(message) in reply.error(404, "not-found")


def test_after_a_rename_it_is_the_same_message(mail: Mail, fresh: Fresh) -> None:
    old, new = fresh("old"), fresh("new")
    number = mail.send(old, "b")["id"]
    mail.rename(old, new)
    assert mail.status(new, number)["from"] == new
    assert mail.status(old, number)["from"] == new


@pytest.mark.parametrize("number", [None, "", "x", "0", "-1", "1.5", str(2**63), "²"])
def test_what_is_no_number_of_a_message_is_refused(mail: Mail, number: str | None) -> None:
    reply = mail.request("GET", path("/v1/message", id=number), "a")
    assert "'id'" in reply.error(400, "bad-request")


def test_malformed_waits_are_refused(mail: Mail) -> None:
    number = mail.send("a", "b")["id"]
    for parameters in ({"wait": "read"}, {"wait": "delivered", "timeout": "soon"}):
        reply = mail.request("GET", path("/v1/message", id=number, **parameters), "a")
        reply.error(400, "bad-request")
    assert "X-Mailbox" in mail.request("GET", path("/v1/message", id=number)).error(
        400, "bad-request"
    )


class TestWait:
    def test_it_ends_with_the_delivery(self, connect: Connect, fresh: Fresh) -> None:
        """At once, for sender and receiver, whoever settles it: an ack or the response itself."""
        mail, to = connect(), fresh("to")
        for way in ("plain", "acked"):
            number = mail.send("a", to)["id"]
            waiting = [connect(), connect()]
            for each, name in zip(waiting, ("a", to), strict=True):
                each.start_wait(name, number)
            if way == "plain":
                mail.check(to)
            else:
                (message,) = mail.check(to, lease=60)
                mail.outcome("ack", to, message["lease"])
            for each in waiting:
                assert each.read().json()["state"] == "delivered"

    @pytest.mark.parametrize(
        ("take", "kind", "way"),
        [("check", "context", "hook"), ("check", "wake", "hook"), ("watch", "command", "watch")],
    )
    def test_it_ends_with_the_proof_of_a_session(
        self, connect: Connect, fresh: Fresh, take: str, kind: str, way: str
    ) -> None:
        """That its model has what a hook showed, or a command in its background printed."""
        mail, waiting, session = connect(), connect(), fresh("session")
        started = mail.request(
            "POST", "/v1/session", content={"sessionId": session, "name": fresh("to")}
        )
        to = started.json()["name"]
        number = mail.send("a", to)["id"]
        message = mail.watch(to, lease=60) if take == "watch" else mail.check(to, lease=60)[0]
        assert message is not None
        shown = {"sessionId": session, "leases": [message["lease"]], "kind": kind}
        assert mail.request("POST", "/v1/session/shown", content=shown).status == 200
        waiting.start_wait("a", number)
        assert mail.status("a", number)["state"] == "leased"
        proof = {"sessionId": session, "arrived": [message["lease"]], "lost": []}
        assert mail.request("POST", "/v1/session/proof", content=proof).status == 200
        status = waiting.read().json()
        assert (status["state"], status["by"]) == ("delivered", way)

    def test_what_is_delivered_already_is_answered_at_once(self, mail: Mail, fresh: Fresh) -> None:
        to = fresh("to")
        number = mail.send("a", to)["id"]
        mail.check(to)
        assert mail.status("a", number, wait="delivered", timeout=300)["state"] == "delivered"

    def test_a_timeout_tells_the_present_state(self, mail: Mail, fresh: Fresh) -> None:
        to = fresh("to")
        number = mail.send("a", to)["id"]
        assert mail.status("a", number, wait="delivered", timeout=0)["state"] == "waiting"
        mail.check(to, lease=60)
        assert mail.status("a", number, wait="delivered", timeout=0.1)["state"] == "leased"

    def test_a_wait_for_a_reply_takes_its_time(self, mail: Mail, fresh: Fresh) -> None:
        """Though the message is delivered."""
        to = fresh("to")
        number = mail.send("a", to)["id"]
        mail.check(to)
        assert mail.status("a", number, wait="replied", timeout=0.1)["state"] == "delivered"

    def test_a_client_that_leaves_disturbs_nobody(self, connect: Connect, fresh: Fresh) -> None:
        mail, to = connect(), fresh("to")
        number = mail.send("a", to)["id"]
        leaving, staying = connect(), connect()
        leaving.start_wait("a", number)
        staying.start_wait("a", number)
        leaving.close()
        mail.check(to)
        assert staying.read().json()["state"] == "delivered"

    def test_a_shutdown_ends_it_with_503(self) -> None:
        with DaemonProcess() as daemon:
            with Mail(address_of(daemon)) as waiting, Mail(address_of(daemon)) as mail:
                number = mail.send("a", "b")["id"]
                waiting.start_wait("a", number)
                mail.health()
                stopping = threading.Thread(target=daemon.stop)
                stopping.start()
                waiting.read().error(503, "shutting-down")
                stopping.join()
            daemon.start()
            with Connection(address_of(daemon)) as again:
                reply = again.request("GET", path("/v1/message", id=number), "a")
                assert reply.json()["state"] == "waiting"
