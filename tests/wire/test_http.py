"""What HTTP allows, and what it does not: forms of a request, and the daemon's way to say no."""

import json

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.mail import Mail

SEND = b'{"to":"nobody-reads","body":"x"}'
POST = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\nContent-Type: application/json\r\n"


def still_lives(connect: Connect) -> bool:
    """Return whether the daemon answers somebody else."""
    return connect().health()["status"] == "ok"


def final_error(mail: Mail) -> dict[str, str]:
    """Return the error that a connection ends with."""
    head, _, body = mail.read_to_end().partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert 400 <= status < 600, head
    return {"status": str(status), **json.loads(body or b"{}")}


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
    def test_a_client_that_expects_to_be_invited_is(
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
    def test_a_body_is_read_though_another_protocol_was_asked_for(
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

    def test_a_wish_for_the_end_is_heard_beside_one_for_another_protocol(self, mail: Mail) -> None:
        """Both stand in the same header."""
        wish = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
        mail.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + wish)

        assert b'"status":"ok"' in mail.read_to_end()

    def test_many_wishes_for_another_protocol(self, mail: Mail) -> None:
        """Sent ahead in one go; each is answered as if it had not asked."""
        wish = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        mail.write((b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + wish) * 700)

        for _ in range(700):
            assert mail.read().status == 200

    def test_empty_lines_before_a_request_mean_nothing(self, connect: Connect) -> None:
        """Some clients send one after a body (RFC 9112, 2.2)."""
        for before in (b"\r\n", b"\r\n\r\n"):
            mail = connect()
            mail.write(before + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

            assert mail.read().status == 200

    def test_escapes_in_the_path_are_decoded(self, mail: Mail) -> None:
        """``%68`` is ``h``."""
        assert mail.request("GET", "/%68ealth").status == 200


class TestRefusals:
    """Requests that are wrong get a clear no, and nobody else notices."""

    @pytest.mark.parametrize(
        "target",
        [
            "*",
            "127.0.0.1:80",
            "health",
            "foo://127.0.0.1/health",
            "http://[::1/health",
            "http://127.0.0.1",
            "mailto:me@127.0.0.1/",
        ],
    )
    def test_a_target_that_is_no_path(self, connect: Connect, target: str) -> None:
        """Targets for other purposes than ours."""
        reply = connect().request("GET", target)

        assert 400 <= reply.status < 405, reply
        assert still_lives(connect)

    @pytest.mark.parametrize(
        "data", [b"zzz\r\n\r\n", b"GET /\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n"]
    )
    def test_what_is_no_http_gets_a_sentence(self, mail: Mail, data: bytes) -> None:
        """Whichever server it comes to."""
        mail.write(data)

        error = final_error(mail)

        assert error["status"] == "400"
        assert error["reason"] == "bad-request"
        assert "HTTP" in error["error"]

    def test_a_foreign_authority_in_the_target(self, mail: Mail) -> None:
        """It overrules the Host header, so it must be ours as well."""
        reply = mail.request("GET", "http://evil.example/health")

        assert "evil.example" in reply.error(403, "forbidden")

    @pytest.mark.parametrize(
        "target",
        [
            "//v1/check-inbox",
            "http://localhost//v1/check-inbox",
            "/v1/check-inbox/",
            "/v1/../v1/check-inbox",
            "/V1/CHECK-INBOX",
        ],
    )
    def test_a_path_that_only_looks_like_ours(
        self, connect: Connect, fresh: Fresh, target: str
    ) -> None:
        """There is one spelling of each path; no other one takes mail."""
        name = fresh("me")
        connect().send("peer", name, "mail")

        connect().request("POST", f"{target}?name={name}", name).error(404, "not-found")

        assert connect().bodies(name) == ["mail"]

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"Content-Length: -1", id="negative"),
            pytest.param(b"Content-Length: +2", id="plus"),
            pytest.param(b"Content-Length: 0x2", id="hexadecimal"),
            pytest.param(b"Content-Length: two", id="word"),
            pytest.param(b"Content-Length: 99999999999999999999999", id="absurd"),
            pytest.param(b"Content-Length: " + b"9" * 5000, id="very absurd"),
            pytest.param(b"Content-Length: 2\r\nContent-Length: 3", id="two lengths"),
            pytest.param(b"Content-Length: 2\r\nTransfer-Encoding: chunked", id="two framings"),
            pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 2", id="framings turned"),
            pytest.param(b"Transfer-Encoding: gzip", id="compressed"),
            pytest.param(b"Transfer-Encoding: chunked, chunked", id="chunked twice"),
            pytest.param(b"Transfer-Encoding: \x0bchunked", id="disguised"),
            pytest.param(b"Content-Length : 2", id="space before colon"),
            pytest.param(b"Content-Length", id="no colon"),
            pytest.param(b"X-Evil: a\x00b\r\nContent-Length: 2", id="nul in a header"),
            pytest.param(b"X\x00: b\r\nContent-Length: 2", id="nul in a header name"),
        ],
    )
    def test_framing_that_two_readers_could_understand_differently(
        self, connect: Connect, head: bytes
    ) -> None:
        """Such a request, and what hides behind it, is never carried out."""
        mail = connect()
        hidden = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: smuggler\r\n"
        hidden += b"Content-Type: application/json\r\nContent-Length: 32\r\n\r\n" + SEND
        mail.write(POST + head + b"\r\n\r\n" + b"2\r\n{}\r\n0\r\n\r\n" + hidden)

        answer = mail.read_to_end()

        # What it sent too much may cost the client the answer.
        assert answer == b"" or answer.split(b" ")[1] in {b"400", b"431", b"501"}, answer
        assert "smuggler" not in connect().rows()

    def test_a_trailer_names_nobody(self, connect: Connect, fresh: Fresh) -> None:
        """It comes after the body, when it is known already who sends."""
        body = json.dumps({"to": fresh("to"), "body": "forged"}).encode()
        head = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        mail = connect()
        mail.write(
            head
            + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
            + b"0\r\nX-Mailbox: somebody-else\r\n\r\n"
        )

        assert "X-Mailbox" in mail.read().error(400, "bad-request")

    def test_a_trailer_without_end(self, connect: Connect) -> None:
        """It is refused as a head without end is."""
        mail = connect()
        mail.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        mail.write(b"X: y\r\n" * 12_000)

        assert mail.read().error(431, "head-too-large")

    @pytest.mark.parametrize("chunk", [b"ZZ\r\n{}", b"-1\r\n", b"2\r\n{}XX", b"f" * 40 + b"\r\n"])
    def test_a_broken_chunk(self, connect: Connect, chunk: bytes) -> None:
        """A body that goes wrong on the way is answered, not dropped."""
        mail = connect()
        mail.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"\r\n0\r\n\r\n")

        assert final_error(mail)["status"] == "400"
        assert still_lives(connect)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"\x00\x01\x02\r\n\r\n", id="binary"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 99, id="TLS"),
            pytest.param(b"GET /health\r\n\r\n", id="HTTP/0.9"),
            pytest.param(b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", id="HTTP/9.9"),
            pytest.param(b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", id="raw bytes"),
            pytest.param(b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no target"),
            pytest.param(b"GET /health HTTP/1.1\r\n\r\n", id="no host"),
            pytest.param(b"GET /health HTTP/1.0\r\n\r\n", id="no host in 1.0"),
            pytest.param(
                b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
                id="two hosts",
            ),
            pytest.param(b"G" * 200_000, id="endless method"),
            pytest.param(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n", id="endless path"),
            pytest.param(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 300_000, id="endless header"
            ),
            pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 60_000, id="endless headers"),
        ],
    )
    def test_what_is_no_request(self, connect: Connect, data: bytes) -> None:
        """The connection ends with an error, and only that one."""
        mail = connect()
        try:
            mail.write(data)
        except ConnectionError:
            # It was refused before all of it was sent.
            assert still_lives(connect)
            return

        answer = mail.read_to_end()

        # A client that still sends may be reset, and so miss the answer.
        assert answer == b"" or answer.split(b" ")[1][:1] == b"4", answer
        assert still_lives(connect)

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("target", ["/v1/check-inbox", "/v1/watch", "/mcp", "/v1/follow"])
    def test_another_method_takes_no_mail(
        self, mail: Mail, fresh: Fresh, method: str, target: str
    ) -> None:
        """HEAD would be GET with the mail thrown away."""
        name = fresh("me")
        mail.send("peer", name, "mail")

        reply = mail.request(method, f"{target}?name={name}", name)

        assert reply.status == (200 if method == "OPTIONS" else 405)
        with Mail(mail.address) as other:
            assert other.peek(name)["pending"] == 1

    @pytest.mark.parametrize(
        "upgrade",
        [
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: !!\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
            b"Upgrade: something\r\nConnection: Upgrade\r\n",
        ],
    )
    @pytest.mark.parametrize("host", ["localhost", "evil.example"])
    def test_upgrades_are_ignored(
        self, connect: Connect, fresh: Fresh, upgrade: bytes, host: str
    ) -> None:
        """Nothing but HTTP/1.1 is spoken, and the guard looks at the request as at any other."""
        name = fresh("me")
        connect().send("peer", name, "mail")
        mail = connect()
        mail.write(
            f"GET /v1/watch?timeout=0&name={name} HTTP/1.1\r\nHost: {host}\r\n".encode()
            + f"X-Mailbox: {name}\r\n".encode()
            + upgrade
            + b"\r\n"
        )

        reply = mail.read()

        assert reply.status == (200 if host == "localhost" else 403)
        assert connect().peek(name)["pending"] == (0 if host == "localhost" else 1)

    @pytest.mark.parametrize("rest", [b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"\xff" * 99, b""])
    def test_http_2_is_not_spoken(self, connect: Connect, rest: bytes) -> None:
        """A client that assumes it is sent away, or stays without an effect."""
        mail = connect()
        mail.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rest)
        mail.close_half()
        mail.read_to_end()

        assert still_lives(connect)


class TestSlowClients:
    """Clients that take their time, or their leave."""

    def test_a_request_in_single_bytes(self, connect: Connect, fresh: Fresh) -> None:
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
