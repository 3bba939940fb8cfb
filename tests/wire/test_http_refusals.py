"""Requests that HTTP does not allow, or that we do not: each gets an error."""

import json

import pytest

from wire.conftest import Connect, Fresh, still_lives
from wire.connection import POST
from wire.mail import Mail

SEND = b'{"to":"nobody-reads","body":"x"}'


def final_error(mail: Mail) -> dict[str, str]:
    """Return the error that a connection ends with."""
    head, _, body = mail.read_to_end().partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert 400 <= status < 600, head
    return {"status": str(status), **json.loads(body or b"{}")}


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
    def test_a_target_that_is_not_a_path_is_refused(self, connect: Connect, target: str) -> None:
        """Targets for other purposes than ours."""
        reply = connect().request("GET", target)

        assert 400 <= reply.status < 405, reply
        assert still_lives(connect)

    @pytest.mark.parametrize(
        "data", [b"zzz\r\n\r\n", b"GET /\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n"]
    )
    def test_what_is_not_http_is_refused_with_a_sentence(self, mail: Mail, data: bytes) -> None:
        """Whichever server it comes to."""
        mail.write(data)

        error = final_error(mail)

        assert error["status"] == "400"
        assert error["reason"] == "bad-request"
        assert "HTTP" in error["error"]

    def test_a_foreign_authority_in_the_target_is_refused(self, mail: Mail) -> None:
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
    def test_a_path_in_another_spelling_is_not_found(
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
    def test_ambiguous_framing_is_refused(self, connect: Connect, head: bytes) -> None:
        """Such a request, and what hides behind it, is never carried out."""
        mail = connect()
        hidden = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: smuggler\r\n"
        hidden += b"Content-Type: application/json\r\nContent-Length: 32\r\n\r\n" + SEND
        mail.write(POST + head + b"\r\n\r\n" + b"2\r\n{}\r\n0\r\n\r\n" + hidden)

        answer = mail.read_to_end()

        # What it sent too much may cost the client the answer.
        assert answer == b"" or answer.split(b" ")[1] in {b"400", b"431", b"501"}, answer
        assert "smuggler" not in connect().rows()

    def test_a_mailbox_in_a_trailer_is_ignored(self, connect: Connect, fresh: Fresh) -> None:
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

    def test_a_trailer_without_an_end_is_refused(self, connect: Connect) -> None:
        """It is refused as a head without end is."""
        mail = connect()
        mail.write(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        mail.write(b"X: y\r\n" * 12_000)

        assert mail.read().error(431, "head-too-large")

    @pytest.mark.parametrize("chunk", [b"ZZ\r\n{}", b"-1\r\n", b"2\r\n{}XX", b"f" * 40 + b"\r\n"])
    def test_a_broken_chunk_is_refused(self, connect: Connect, chunk: bytes) -> None:
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
    def test_a_malformed_request_is_refused(self, connect: Connect, data: bytes) -> None:
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
