"""The REST API for clients: what is sent, what is repeated, what is an error."""

import pytest

from claude_mailbox.client.reach.api import Daemon, Delivery, Identity, Refused
from claude_mailbox.client.reach.connection import ConnectionLost, WrongServer
from claude_mailbox.errors import DaemonUnreachable, InvalidName, MailboxError
from client.server import Peer, Server, respond_with
from support.commandline import until


def response(body: bytes, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """Return a whole response as bytes."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        headers,
        len(body),
        body,
    )


class TestIdentity:
    def test_a_name_is_sent_in_the_header_and_the_query(self) -> None:
        """The header is UTF-8, the query is percent-encoded, and the name is trimmed."""
        identity = Identity(" é b&c ")
        assert identity.headers == [("X-Mailbox", "é b&c")]
        assert identity.query == ["name=%C3%A9%20b%26c"]

    def test_a_session_is_sent_in_a_header(self) -> None:
        """The daemon knows the mailbox of the session."""
        identity = Identity(session="0f-1")
        assert (identity.headers, identity.query) == ([("X-Mailbox-Session", "0f-1")], [])

    @pytest.mark.parametrize("name", ["", "  ", "a\r\nX: y", "a\0", "a\x85b", "\ud800"])
    def test_refuses_names_that_cannot_be_sent(self, name: str) -> None:
        """A name must not be empty, break out of its header or be invalid Unicode."""
        with pytest.raises(InvalidName):
            Identity(name)


class TestDelivery:
    @pytest.mark.parametrize(
        "value",
        [
            {},
            [],
            "text",
            {"id": "1", "from": "a", "body": "b", "sentAt": "t", "attempts": 1, "lease": "l"},
            {"id": 1, "from": None, "body": "b", "sentAt": "t", "attempts": 1, "lease": "l"},
            {"id": True, "from": "a", "body": "b", "sentAt": "t", "attempts": 1, "lease": "l"},
            {"id": 1, "from": "a", "body": "b", "sentAt": "t", "attempts": 1},
        ],
    )
    def test_another_value_than_a_message_is_a_wrong_server(self, value: object) -> None:
        """Nothing that another server sends is printed as mail."""
        with pytest.raises(WrongServer):
            Daemon("http://127.0.0.1:1").parse_delivery(value)

    def test_fields_have_no_lease(self) -> None:
        """The fields are printed, and the lease is a secret of the receiver."""
        fields: dict[str, object] = {
            "id": 1,
            "from": "a",
            "body": "b",
            "sentAt": "t",
            "attempts": 1,
        }
        assert Delivery(fields | {"lease": "secret"}).fields == fields


class TestCall:
    def test_a_repeatable_request_is_sent_again_when_the_connection_is_lost(self) -> None:
        """It is sent a second time, but not a third."""
        with Server(respond_with(), respond_with(response(b"{}"))) as server:
            daemon = server.daemon()
            assert daemon.call("GET", "/x", is_repeatable=True).value == {}
        with Server(respond_with(), respond_with()) as server, pytest.raises(ConnectionLost):
            server.daemon().call("GET", "/x", is_repeatable=True)

    def test_other_requests_are_not_sent_again(self) -> None:
        """Nobody knows whether the daemon has carried it out."""
        with Server(respond_with()) as server, pytest.raises(ConnectionLost):
            server.daemon().call("POST", "/x", body={})
        assert len(server.requests) == 1

    def test_a_stale_connection_is_replaced_before_a_request(self) -> None:
        """Requests that cannot be repeated are safe even if the server has closed the connection."""
        with Server(respond_with(response(b"1")), respond_with(response(b"2"))) as server:
            daemon = server.daemon()
            first = daemon.connect()
            assert daemon.call("POST", "/x", body=1).value == 1
            until(lambda: daemon.connect() is not first, "the end of the connection")
            assert daemon.call("POST", "/x", body=2).value == 2

    def test_a_refusal_has_the_sentence_and_fields_of_the_daemon(self) -> None:
        """Its code is the reason, and its exit code is 1."""
        body = b'{"error":"It was renamed.","reason":"renamed","to":"b"}'
        with (
            Server(respond_with(response(body, "409 Conflict"))) as server,
            pytest.raises(Refused, match=r"It was renamed\.") as caught,
        ):
            server.daemon().call("GET", "/x")
        refusal = caught.value
        assert (refusal.status, refusal.code, refusal.exit_code) == (409, "renamed", 1)
        assert refusal.fields["to"] == "b"

    def test_a_daemon_that_shuts_down_is_unreachable(self) -> None:
        """For a script that is the same as no daemon."""
        body = b'{"error":"x","reason":"shutting-down"}'
        with (
            Server(respond_with(response(body, "503 Unavailable"))) as server,
            pytest.raises(DaemonUnreachable, match="shutting down"),
        ):
            server.daemon().call("GET", "/x")

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"<html>", "200 OK"),
            (b"<html>Not found</html>", "404 Not Found"),
            (b'{"detail":"x"}', "404 Not Found"),
            (b'{"error":{"code":1}}', "500 Oops"),
            (b"{}", "302 Found"),
            (b"\xff", "200 OK"),
        ],
    )
    def test_the_response_of_another_program_is_a_wrong_server(
        self, body: bytes, status: str
    ) -> None:
        """Another web server may have the port; the exit code is 2."""
        with (
            Server(respond_with(response(body, status))) as server,
            pytest.raises(WrongServer) as caught,
        ):
            server.daemon().call("GET", "/x")
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "body", [b"{}", b"[]", b'{"status":"ok"}', b'{"status":"up","version":1}']
    )
    def test_the_health_of_another_program_is_a_wrong_server(self, body: bytes) -> None:
        """Many programs have a /health."""
        with Server(respond_with(response(body))) as server, pytest.raises(WrongServer):
            server.daemon().health()

    def test_text_that_is_not_valid_unicode_is_refused(self) -> None:
        """A lone surrogate can come from the command line; it is refused before anything is sent."""
        with pytest.raises(MailboxError, match="not valid Unicode"):
            Daemon("http://127.0.0.1:1").call("POST", "/x", body={"body": "\udcff"})


class TestClaim:
    def test_requests_a_lease_and_reads_how_many_more_wait(self) -> None:
        """The query has the lease and the limits; the count is in a header."""
        body = b'[{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"l"}]'
        with Server(respond_with(response(body, headers=b"X-Mailbox-Pending: 7\r\n"))) as server:
            daemon = server.daemon()
            deliveries, pending = daemon.claim(Identity("me"), limit=1, max_chars=5)
        assert ([delivery.lease for delivery in deliveries], pending) == (["l"], 7)
        line = server.requests[0].partition(b"\r\n")[0]
        assert line == b"POST /v1/check-inbox?name=me&lease=60&limit=1&maxChars=5 HTTP/1.1"

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]"])
    def test_another_value_than_a_list_of_messages_is_a_wrong_server(self, body: bytes) -> None:
        """No part of it is taken for mail."""
        with Server(respond_with(response(body))) as server, pytest.raises(WrongServer):
            server.daemon().claim(Identity("me"))


class TestAckAndRelease:
    def test_many_leases_are_sent_in_several_requests(self) -> None:
        """The daemon limits how many a request may have; the lost ones are collected."""

        def script(peer: Peer) -> None:
            for _ in range(2):
                peer.read()
                peer.respond(b'{"done":[],"lost":["x"]}')

        with Server(script) as server:
            assert server.daemon().ack(["t"] * 5001) == ["x", "x"]
        assert len(server.requests) == 2

    def test_without_leases_there_is_no_request(self) -> None:
        """Nobody answers at the address, and that is no error."""
        assert Daemon("http://127.0.0.1:1").ack([]) == []

    def test_a_release_never_fails(self) -> None:
        """If the daemon is gone, the lease expires by itself."""
        Daemon("http://127.0.0.1:1").release(["t"])
