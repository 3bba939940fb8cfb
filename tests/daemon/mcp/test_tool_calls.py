"""What all tools share: who acts, errors, and leases."""

from typing import Any

import pytest

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.connection import path
from wire.mail import Mail

pytestmark = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


class TestIdentity:
    """Who acts: the argument, else the header."""

    def test_the_header_is_used_without_an_argument(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """In every tool; blanks and null count as nothing said."""
        name, new = fresh("me"), fresh("new")
        mail.send("sender", name)

        def call(tool: str, arguments: dict[str, Any]) -> Any:
            return rpc.call(tool, arguments, era=era, X_Mailbox=name)

        assert call("peek_inbox", {})["pending"] == 1
        assert call("list_mailboxes", {"name": ""})["you"] == name
        assert call("check_inbox", {"name": None})["messages"][0]["from"] == "sender"
        assert call("send", {"to": name, "body": "x"})["from"] == name
        assert call("watch", {})["message"]["from"] == name
        assert call("rename", {"new_name": new})["from"] == name

    def test_the_argument_wins(self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
        """A client's header is only its default."""
        name, header = fresh("me"), fresh("header")
        mail.send("sender", name)

        answer = rpc.call("check_inbox", {"name": name}, era=era, X_Mailbox=header)

        assert len(answer["messages"]) == 1

    def test_without_a_name_a_call_is_refused(self, rpc: Rpc, era: str) -> None:
        """The sentence names the argument."""
        for tool, argument, more in (
            ("send", "from", {"to": "x", "body": "y"}),
            ("check_inbox", "name", {}),
            ("peek_inbox", "name", {}),
            ("rename", "current_name", {"new_name": "x"}),
            ("watch", "name", {}),
            ("history", "name", {}),
            ("message", "name", {"id": 1}),
        ):
            assert f"'{argument}'" in rpc.refuse(tool, more, era=era)


class TestErrors:
    """Tool errors, with the sentences of REST."""

    @pytest.mark.parametrize(
        ("tool", "arguments", "method", "target", "content"),
        [
            ("send", {"body": "x"}, "POST", "/v1/send", {"body": "x"}),
            ("send", {"to": [], "body": "x"}, "POST", "/v1/send", {"to": [], "body": "x"}),
            ("send", {"to": "a\nb", "body": "x"}, "POST", "/v1/send", {"to": "a\nb", "body": "x"}),
            ("send", {"to": "x" * 129, "body": "y"}, "POST", "/v1/send", {"to": "x" * 129}),
            ("send", {"to": "x"}, "POST", "/v1/send", {"to": "x"}),
            ("send", {"to": "x", "body": {}}, "POST", "/v1/send", {"to": "x", "body": {}}),
            ("send", {"to": "x", "body": ""}, "POST", "/v1/send", {"to": "x", "body": ""}),
            (
                "send",
                {"to": "x", "body": "x" * 1_048_577},
                "POST",
                "/v1/send",
                {"to": "x", "body": "x" * 1_048_577},
            ),
        ],
    )
    def test_bad_messages_are_refused_as_in_rest(
        self,
        rpc: Rpc,
        mail: Mail,
        era: str,
        tool: str,
        arguments: dict[str, Any],
        method: str,
        target: str,
        content: dict[str, Any],
    ) -> None:
        """Missing, malformed and too large."""
        reply = mail.request(method, target, "sender", content=content)

        assert reply.status in {400, 413}
        assert rpc.refuse(tool, arguments, era=era, X_Mailbox="sender") == reply.json()["error"]

    def test_a_rename_to_a_taken_name_is_refused(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """409 in REST."""
        mine, taken = mail.register(fresh("mine")), mail.register(fresh("taken"))
        reply = mail.request("POST", "/v1/rename", mine, content={"to": taken})

        sentence = rpc.refuse("rename", {"current_name": mine, "new_name": taken}, era=era)

        assert sentence == reply.error(409, "target-exists")

    def test_a_watch_of_a_former_name_is_refused(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """409 in REST."""
        old = mail.register(fresh("old"))
        mail.rename(old, fresh("new"))
        reply = mail.request("GET", path("/v1/watch", name=old), old)

        assert rpc.refuse("watch", {"name": old}, era=era) == reply.error(409, "renamed")

    def test_a_send_to_a_full_mailbox_is_refused(self, era: str) -> None:
        """429 in REST."""
        with DaemonProcess({"maxPendingPerMailbox": 1}) as daemon:
            wait_until_ready(daemon)
            place = ("127.0.0.1", daemon.port)
            with Mail(place) as mail, Rpc(place) as rpc:
                mail.send("a", "b")
                reply = mail.request("POST", "/v1/send", "a", content={"to": "b", "body": "x"})

                sentence = rpc.refuse("send", {"from": "a", "to": "b", "body": "x"}, era=era)

                assert sentence == reply.error(429, "quota-full")


class TestLeases:
    """``X-Mailbox-Lease``: for clients of ours that pass answers on, such as ``mcp-stdio``."""

    @pytest.mark.parametrize("tool", ["check_inbox", "watch"])
    def test_headers_name_the_leases(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str, tool: str
    ) -> None:
        """And the holder to end them with; until then the message is nobody else's."""
        name = fresh("žofie")
        mail.send("sender", name)
        rpc.begin_call(tool, {"name": name}, era=era, X_Mailbox_Lease="60")
        reply = rpc.message()

        (token,) = reply.headers["x-mailbox-leases"].split(",")
        assert reply.headers["x-mailbox-holder"] == path("", x=name).partition("=")[2]
        assert mail.outcome("release", name, token)["done"] == [token]
        assert mail.check(name)[0]["attempts"] == 2

    def test_without_mail_there_are_no_lease_headers(
        self, rpc: Rpc, fresh: Fresh, era: str
    ) -> None:
        """There is nothing to end."""
        rpc.begin_call("check_inbox", {"name": fresh("me")}, era=era, X_Mailbox_Lease="60")

        assert not [name for name in rpc.message().headers if name.startswith("x-mailbox")]

    @pytest.mark.parametrize("seconds", ["0", "3601", "-1", "x", "", "1.5", "9" * 50])
    def test_a_malformed_lease_header_is_refused(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str, seconds: str
    ) -> None:
        """The sentence names the header; nothing is taken."""
        name = fresh("me")
        mail.send("sender", name)

        sentence = rpc.refuse("check_inbox", {"name": name}, era=era, X_Mailbox_Lease=seconds)

        assert "X-Mailbox-Lease" in sentence
        assert mail.peek(name)["pending"] == 1
