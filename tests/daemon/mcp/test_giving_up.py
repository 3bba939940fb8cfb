"""Clients that give up in the middle of a call: by leaving, and by saying so."""

import json

import pytest

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.connection import Connection
from wire.mail import Mail

eras = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


@eras
@pytest.mark.parametrize("leave", [Connection.close, Connection.close_half, Connection.reset])
def test_a_client_that_leaves_a_watch_takes_no_mail(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, era: str, leave
) -> None:
    """The message that is sent just after is nobody's yet."""
    name = fresh("me")
    for number in range(5):
        rpc = Rpc(("127.0.0.1", daemon.port))
        rpc.begin_call("watch", {"name": name, "timeout": 50}, era=era)
        mail.wait_for_waiters(1)
        leave(rpc)

        mail.send("sender", name, str(number))

        mail.wait_for_waiters(0)
        message = mail.watch(name, timeout=60)
        assert message is not None
        assert message["body"] == str(number)
        rpc.close()


class TestCancelled:
    """``notifications/cancelled`` on another connection, while the call's own one stays open."""

    @staticmethod
    def give_up(place: tuple[str, int], number: object, **headers: str) -> None:
        """Say that request *number* is not wanted any more."""
        with Rpc(place) as other:
            params = {"requestId": number, "reason": "The user pressed Esc."}
            other.begin("notifications/cancelled", params, number=None, **headers)
            assert other.message().status == 202

    @eras
    @pytest.mark.parametrize("number", [7, "seven", "7"])
    def test_a_cancelled_watch_takes_no_mail(
        self, daemon: DaemonProcess, mail: Mail, rpc: Rpc, fresh: Fresh, era: str, number: object
    ) -> None:
        """The call ends as if its time were over, and takes no message."""
        name = fresh("me")
        rpc.begin_call("watch", {"name": name, "timeout": 50}, era=era, number=number)
        mail.wait_for_waiters(1)

        self.give_up(("127.0.0.1", daemon.port), number)

        mail.wait_for_waiters(0)
        mail.send("sender", name)
        assert rpc.answer() == {"message": None}
        assert [message["attempts"] for message in mail.check(name)] == [1]

    @pytest.mark.parametrize(
        ("mine", "other"),
        [
            ({"number": 7}, {"number": 8}),
            ({"number": 7}, {"number": "7"}),
            ({"number": 1}, {"number": True}),
            ({"number": 7, "X_Mailbox": "one"}, {"number": 7, "X_Mailbox": "two"}),
            ({"number": 7, "X_Mailbox": "one"}, {"number": 7}),
            ({"number": 7, "User_Agent": "one"}, {"number": 7, "User_Agent": "two"}),
        ],
    )
    def test_the_call_of_another_client_goes_on(
        self, daemon: DaemonProcess, mail: Mail, rpc: Rpc, fresh: Fresh, mine, other
    ) -> None:
        """Both the number and the sender have to be the same."""
        name = fresh("me")
        rpc.begin_call("watch", {"name": name, "timeout": 50}, **mine)
        mail.wait_for_waiters(1)

        self.give_up(("127.0.0.1", daemon.port), **other)

        mail.send("sender", name, "for the call that goes on")
        assert rpc.answer()["message"]["body"] == "for the call that goes on"

    def test_a_message_sent_at_the_same_time_is_taken_or_waits(
        self, daemon: DaemonProcess, mail: Mail, rpc: Rpc, fresh: Fresh
    ) -> None:
        """Sent and given up at the same time, again and again: taken by one or waiting."""
        name = fresh("me")
        for number in range(30):
            rpc.begin_call("watch", {"name": name, "timeout": 50}, number=number)
            mail.wait_for_waiters(1)
            mail.start("POST", "/v1/send", "sender", content={"to": name, "body": str(number)})
            self.give_up(("127.0.0.1", daemon.port), number)
            assert mail.read().status == 200

            message = rpc.answer()["message"]
            bodies = mail.bodies(name) if message is None else [message["body"]]

            assert bodies == [str(number)]

    @pytest.mark.parametrize(
        "params",
        [None, {}, [], "x", {"requestId": None}, {"requestId": [1]}, {"requestId": {"a": 1}}],
    )
    def test_a_malformed_notification_cancels_nothing(self, rpc: Rpc, params: object) -> None:
        """It changes nothing."""
        content = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        headers: dict[str, str | bytes] = {"Accept": "application/json, text/event-stream"}

        reply = rpc.request("POST", "/mcp", content=content, headers=headers)

        assert reply.status in {202, 400}

    def test_a_message_with_that_word_cancels_nothing(
        self, rpc: Rpc, mail: Mail, fresh: Fresh
    ) -> None:
        """Mail may be about cancelling."""
        to = fresh("to")
        body = json.dumps({"method": "notifications/cancelled", "params": {"requestId": 1}})

        rpc.call("send", {"from": "sender", "to": to, "body": body})

        assert mail.bodies(to) == [body]
