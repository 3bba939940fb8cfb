"""Unusual requests that HTTP allows, and slow clients."""

import json

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh, still_lives
from wire.connection import POST
from wire.mail import Mail


class TestForms:
    """Unusual requests that are right."""

    def test_one_connection_carries_many_requests(self, mail: Mail) -> None:
        """Connections are kept alive."""
        for _ in range(20):
            mail.health()

    def test_http_1_0_is_answered_and_closed(self, mail: Mail) -> None:
        """A client of HTTP/1.0 waits for the end of the connection."""
        mail.write(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")

        answer = mail.read_to_end()

        assert b" 200 " in answer.split(b"\r\n")[0]
        assert b'"status":"ok"' in answer

    @pytest.mark.parametrize("target", ["/health", "/nothing", "/v1/send"])
    def test_connection_close_is_obeyed(self, mail: Mail, target: str) -> None:
        """Whatever the answer, a client that asks for the end of the connection gets it."""
        mail.start("GET", target, headers={"Connection": "close"})

        assert mail.read_to_end().startswith(b"HTTP/1.1 ")

    def test_connection_close_is_obeyed_after_a_long_body(self, mail: Mail, fresh: Fresh) -> None:
        """The body comes in many pieces, and the connection still ends with the answer."""
        content = {"to": fresh("to"), "body": "x" * 500_000}
        mail.start(
            "POST", "/v1/send", fresh("from"), content=content, headers={"Connection": "close"}
        )

        assert b'"state":"queued"' in mail.read_to_end()

    def test_a_chunked_body_is_a_body(self, mail: Mail, fresh: Fresh) -> None:
        """Chunks are put together, wherever they are cut."""
        to = fresh("to")
        data = json.dumps({"to": to, "body": "in pieces"}).encode()
        mail.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(data), 7):
            piece = data[start : start + 7]
            mail.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        mail.write(b"0\r\n\r\n")

        assert mail.read().status == 200
        assert mail.bodies(to) == ["in pieces"]

    @pytest.mark.parametrize("word", [b"100-continue", b"100-Continue"])
    def test_a_client_that_expects_100_continue_gets_it(
        self, mail: Mail, fresh: Fresh, word: bytes
    ) -> None:
        """``Expect: 100-continue``, as curl sends it before a large body."""
        data = json.dumps({"to": fresh("to"), "body": "x"}).encode()
        mail.write(POST + b"Expect: %b\r\nContent-Length: %d\r\n\r\n" % (word, len(data)))
        head = mail.read_head()
        mail.write(data)

        assert head.startswith(b"HTTP/1.1 100")
        assert mail.read().status == 200

    def test_requests_sent_ahead_are_answered_in_order(self, mail: Mail, fresh: Fresh) -> None:
        """Pipelining: each answer belongs to its request."""
        to = fresh("to")
        for number in range(20):
            content = {"to": to, "body": str(number)}
            mail.start("POST", "/v1/send", "ahead", content=content)

        ids = [mail.read().json()["id"] for _ in range(20)]

        assert sorted(ids) == ids
        assert [str(number) for number in range(20)] == mail.bodies(to)

    def test_the_absolute_form_is_the_path(self, mail: Mail, fresh: Fresh) -> None:
        """A target with scheme and host is what a proxy's clients send."""
        name = fresh("me")
        mail.send("peer", name, "mail")

        taken = mail.request("POST", f"http://127.0.0.1:1/v1/check-inbox?name={name}", name)

        assert [message["body"] for message in taken.json()] == ["mail"]

    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_a_body_after_an_upgrade_request_is_read(
        self, mail: Mail, fresh: Fresh, is_chunked: bool
    ) -> None:
        """As ``curl --http2`` does. The connection goes on, too."""
        upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
        to = fresh("to")
        for number in range(3):
            data = json.dumps({"to": to, "body": str(number)}).encode()
            length = b"Content-Length: %d\r\n\r\n%b" % (len(data), data)
            chunk = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
            mail.write(POST + upgrade + (chunk if is_chunked else length))

            assert mail.read().status == 200
        assert mail.bodies(to) == ["0", "1", "2"]

    def test_connection_close_is_obeyed_beside_an_upgrade_request(self, mail: Mail) -> None:
        """Both stand in the same header."""
        wish = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
        mail.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + wish)

        assert b'"status":"ok"' in mail.read_to_end()

    def test_many_upgrade_requests_are_answered(self, mail: Mail) -> None:
        """Sent ahead in one go; each is answered as if it had not asked."""
        wish = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        mail.write((b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + wish) * 700)

        for _ in range(700):
            assert mail.read().status == 200

    def test_empty_lines_before_a_request_are_ignored(self, connect: Connect) -> None:
        """Some clients send one after a body (RFC 9112, 2.2)."""
        for before in (b"\r\n", b"\r\n\r\n"):
            mail = connect()
            mail.write(before + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

            assert mail.read().status == 200

    def test_escapes_in_the_path_are_decoded(self, mail: Mail) -> None:
        """``%68`` is ``h``."""
        assert mail.request("GET", "/%68ealth").status == 200


class TestSlowClients:
    """Clients that take their time, or their leave."""

    def test_a_request_in_single_bytes_is_answered(self, connect: Connect, fresh: Fresh) -> None:
        """However it is cut, it is one request."""
        mail = connect()
        to = fresh("to")
        data = json.dumps({"to": to, "body": "slow"}).encode()
        for byte in POST + b"Content-Length: %d\r\n\r\n" % len(data) + data:
            mail.write(bytes([byte]))

        assert mail.read().status == 200
        assert connect().bodies(to) == ["slow"]

    @pytest.mark.parametrize("size", [10, len(POST) + 10, len(POST) + 40])
    def test_a_request_that_never_ends_holds_nobody_up(
        self, connect: Connect, fresh: Fresh, size: int
    ) -> None:
        """Half a head, half a header, half a body: others are served, and nothing is stored."""
        to = fresh("to")
        data = json.dumps({"to": to, "body": "half"}).encode()
        whole = POST + b"Content-Length: %d\r\n\r\n" % len(data) + data
        mail = connect()
        mail.write(whole[:size])

        assert still_lives(connect)
        mail.close()
        assert connect().peek(to) == {"pending": 0, "oldestAt": None}

    def test_a_client_that_takes_no_answer_holds_nobody_up(
        self, connect: Connect, daemon: DaemonProcess, fresh: Fresh
    ) -> None:
        """Its answer fills the socket; everybody else goes on."""
        name = fresh("me")
        mail = connect()
        for _ in range(8):
            mail.send("peer", name, "x" * 1_000_000)
        deaf = connect()
        deaf.start("POST", f"/v1/check-inbox?name={name}", name)
        head = deaf.read_head()

        assert head.startswith(b"HTTP/1.1 200")
        assert still_lives(connect)
        deaf.close()
        # What it did not take comes again.
        while mail.peek(name)["pending"] < 8:
            pass
        assert [message["attempts"] for message in mail.check(name)] == [2] * 8
