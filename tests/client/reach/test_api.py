"""The daemon's verbs, against scripted servers: what is repeated, what is an error."""

import socket
from pathlib import Path

import pytest

from claude_mailbox import paths
from claude_mailbox.client.reach.api import Daemon, Identity, Mail, Refused
from claude_mailbox.client.reach.connection import ConnectionLost, NotOurs
from claude_mailbox.errors import DaemonUnreachable, InvalidName, MailboxError
from client.server import Peer, Server, says
from support.commandline import until


def answer(body: bytes, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """Return a whole answer as bytes."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        headers,
        len(body),
        body,
    )


class TestIdentity:
    def test_a_name_goes_into_header_and_query(self) -> None:
        """The header is UTF-8, the query percent-encoded UTF-8; names are trimmed."""
        identity = Identity(" é b&c ")
        assert identity.headers == [("X-Mailbox", "é b&c")]
        assert identity.query == ["name=%C3%A9%20b%26c"]

    def test_a_session_is_a_header(self) -> None:
        """The daemon knows its mailbox."""
        identity = Identity(session="0f-1")
        assert (identity.headers, identity.query) == ([("X-Mailbox-Session", "0f-1")], [])

    @pytest.mark.parametrize("name", ["", "  ", "a\r\nX: y", "a\0", "a\x85b", "\ud800"])
    def test_what_cannot_be_sent_is_refused(self, name: str) -> None:
        """Nothing gets out of its header."""
        with pytest.raises(InvalidName):
            Identity(name)


class TestMail:
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
    def test_what_is_no_message_is_not_ours(self, value: object) -> None:
        """A stranger's answer is not printed as mail."""
        with pytest.raises(NotOurs):
            Daemon("http://127.0.0.1:1").mail(value)

    def test_the_lease_is_not_shown(self) -> None:
        """It is the token that settles the message, and nobody else's business."""
        fields: dict[str, object] = {
            "id": 1,
            "from": "a",
            "body": "b",
            "sentAt": "t",
            "attempts": 1,
        }
        assert Mail(fields | {"lease": "secret"}).fields == fields


class TestCall:
    def test_a_lost_connection_is_opened_again_when_that_is_safe(self) -> None:
        """A request that may be repeated is sent once more, and only once."""
        with Server(says(), says(answer(b"{}"))) as server:
            daemon = server.daemon()
            assert daemon.call("GET", "/x", is_repeatable=True).value == {}
        with Server(says(), says()) as server, pytest.raises(ConnectionLost):
            server.daemon().call("GET", "/x", is_repeatable=True)

    def test_a_request_with_effects_is_not_repeated(self) -> None:
        """Nobody knows whether it happened."""
        with Server(says()) as server, pytest.raises(ConnectionLost):
            server.daemon().call("POST", "/x", body={})
        assert len(server.requests) == 1

    def test_a_stale_connection_is_replaced_before_the_request(self) -> None:
        """A kept connection that the server has ended costs nothing, whatever the request."""
        with Server(says(answer(b"1")), says(answer(b"2"))) as server:
            daemon = server.daemon()
            first = daemon.connect()
            assert daemon.call("POST", "/x", body=1).value == 1
            until(lambda: daemon.connect() is not first, "the end of the connection")
            assert daemon.call("POST", "/x", body=2).value == 2

    def test_a_refusal_is_the_daemons_own_sentence(self) -> None:
        """With its reason and its other fields."""
        body = b'{"error":"Renamed it is.","reason":"renamed","to":"b"}'
        with (
            Server(says(answer(body, "409 Conflict"))) as server,
            pytest.raises(Refused, match=r"Renamed it is\.") as caught,
        ):
            server.daemon().call("GET", "/x")
        refusal = caught.value
        assert (refusal.status, refusal.code, refusal.exit_code) == (409, "renamed", 1)
        assert refusal.answer["to"] == "b"

    def test_a_daemon_that_goes_down_is_unreachable(self) -> None:
        """Its last word is 503; for a script that is the same as no daemon."""
        body = b'{"error":"x","reason":"shutting-down"}'
        with (
            Server(says(answer(body, "503 Unavailable"))) as server,
            pytest.raises(DaemonUnreachable, match="going down"),
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
    def test_another_programs_answer(self, body: bytes, status: str) -> None:
        """Somebody else's web server on our port is named as such, with exit code 2."""
        with Server(says(answer(body, status))) as server, pytest.raises(NotOurs) as caught:
            server.daemon().call("GET", "/x")
        assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "body", [b"{}", b"[]", b'{"status":"ok"}', b'{"status":"up","version":1}']
    )
    def test_another_programs_health(self, body: bytes) -> None:
        """Many programs have a /health."""
        with Server(says(answer(body))) as server, pytest.raises(NotOurs):
            server.daemon().health()

    def test_text_that_is_no_unicode(self) -> None:
        """Half a surrogate pair, as from a broken command line, is refused before it is sent."""
        with pytest.raises(MailboxError, match="not valid Unicode"):
            Daemon("http://127.0.0.1:1").call("POST", "/x", body={"body": "\udcff"})


class TestClaim:
    def test_asks_for_a_lease_and_reads_the_count(self) -> None:
        """Query and header as the daemon has them."""
        body = b'[{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"l"}]'
        with Server(says(answer(body, headers=b"X-Mailbox-Pending: 7\r\n"))) as server:
            daemon = server.daemon()
            mails, pending = daemon.claim(Identity("me"), limit=1, max_chars=5)
        assert ([mail.lease for mail in mails], pending) == (["l"], 7)
        line = server.requests[0].partition(b"\r\n")[0]
        assert line == b"POST /v1/check-inbox?name=me&lease=60&limit=1&maxChars=5 HTTP/1.1"

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]"])
    def test_what_is_no_inbox_is_not_ours(self, body: bytes) -> None:
        """Nothing of it is taken for mail."""
        with Server(says(answer(body))) as server, pytest.raises(NotOurs):
            server.daemon().claim(Identity("me"))


class TestSettle:
    def test_many_leases_go_in_parts(self) -> None:
        """The daemon takes so many at once; the lost ones are gathered."""

        def script(peer: Peer) -> None:
            for _ in range(2):
                peer.read()
                peer.answer(b'{"done":[],"lost":["x"]}')

        with Server(script) as server:
            assert server.daemon().ack(["t"] * 5001) == ["x", "x"]
        assert len(server.requests) == 2

    def test_nothing_to_settle_asks_nobody(self) -> None:
        """No request for an empty list."""
        assert Daemon("http://127.0.0.1:1").ack([]) == []

    def test_a_release_never_fails(self) -> None:
        """A daemon that is gone has put everything back."""
        Daemon("http://127.0.0.1:1").release(["t"])


class TestPlaces:
    def test_a_stale_socket_file_falls_through_to_tcp(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """A killed daemon leaves its socket behind."""
        home = tmp_path_factory.mktemp("h")
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(home))
        monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)
        monkeypatch.setattr(paths, "SOCKET_PATH_LIMIT", 1000)
        monkeypatch.chdir(home)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind("mailbox.sock")
        with Server(says(answer(b"1"))) as server:
            (Path(home) / "mailbox.json").write_text(f'{{"port": {server.address.port}}}')
            daemon = Daemon()
            assert daemon.place.path is not None
            assert daemon.call("GET", "/x").value == 1
            assert daemon.place == server.address
            daemon.close()
