"""HTTP/1.1 as bytes: nothing gets out of its line, nothing malformed gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.reach import http1
from claude_mailbox.client.reach.http1 import Answer, Chunks, body_length, parse_head, request_bytes
from claude_mailbox.errors import BadRequest


class TestRequestBytes:
    def test_is_what_goes_over_the_wire(self) -> None:
        """Request line, headers, empty line, body."""
        data = request_bytes("POST", "/v1/send?a=b", [("Host", "x:1")], b"{}")
        assert data == (
            b"POST /v1/send?a=b HTTP/1.1\r\nHost: x:1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )

    def test_has_no_length_without_a_body(self) -> None:
        """A GET declares nothing."""
        assert (
            request_bytes("GET", "/", [("Host", "x")], None) == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )

    def test_header_values_are_utf8(self) -> None:
        """A mailbox may have any name that can be printed."""
        assert b"X-Mailbox: \xc3\xa9\xe2\x82\xac" in request_bytes(
            "GET", "/", [("X-Mailbox", "é€")], None
        )

    @given(st.text())
    def test_a_value_never_leaves_its_line(self, value: str) -> None:
        """Whatever the value, there is one header line, or an error and nothing is sent."""
        try:
            data = request_bytes("GET", "/", [("X-Mailbox", value)], None)
        except BadRequest:
            return
        assert data.removesuffix(b"\r\n\r\n").count(b"\n") == 1
        assert data.startswith(b"GET / HTTP/1.1\r\nX-Mailbox: ")
        assert b"\0" not in data

    @pytest.mark.parametrize(
        "value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x1b[31m", "\x7f", "\ud800"]
    )
    def test_refuses_control_characters_and_surrogates(self, value: str) -> None:
        """An injected header is an error."""
        with pytest.raises(BadRequest):
            request_bytes("GET", "/", [("X-Mailbox", value)], None)

    @pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n"])
    def test_refuses_header_names_that_are_no_tokens(self, name: str) -> None:
        """A header name is a token of RFC 9110."""
        with pytest.raises(BadRequest):
            request_bytes("GET", "/", [(name, "x")], None)

    @pytest.mark.parametrize("target", ["", "x", "/a b", "/a\r\nb", "/é", "/\x7f"])
    def test_refuses_targets_that_break_the_request_line(self, target: str) -> None:
        """What is not percent-encoded does not go out."""
        with pytest.raises(BadRequest):
            request_bytes("GET", target, [], None)

    @given(st.text(st.characters(exclude_categories=("Cs",))))
    def test_quoted_text_can_be_a_query(self, text: str) -> None:
        """Percent-encoded UTF-8 is always a valid part of a target, and decodes to the text."""
        from urllib.parse import unquote

        quoted = http1.quote(text)
        assert request_bytes("GET", f"/?name={quoted}", [], None)
        assert text == unquote(quoted, errors="strict")


class TestParseHead:
    def test_reads_status_and_headers(self) -> None:
        """Names are lower-case, values are stripped, the reason may be missing."""
        answer = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length:  5 \r\nX-A: b: c")
        assert (answer.status, answer.headers) == (200, {"content-length": "5", "x-a": "b: c"})
        assert parse_head(b"HTTP/1.1 204").status == 204

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"SSH-2.0-OpenSSH_9",
            b"HTTP/2 200 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 abc OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1 200 OK\r\nno colon",
            b"HTTP/1.1 200 OK\r\n: empty name",
            b"HTTP/1.1 200 OK\r\nname : blank",
            b"HTTP/1.1 200 OK\r\n folded: yes",
            b"HTTP/1.1 200 OK\r\na: b\nc: d",
            b"HTTP/1.1 200 OK\r\na: b\0",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        ],
    )
    def test_refuses_what_is_malformed(self, head: bytes) -> None:
        """What could be read in two ways is not read."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            parse_head(head)


class TestBodyLength:
    @pytest.mark.parametrize(
        ("status", "headers", "length"),
        [
            (200, {"content-length": "0"}, 0),
            (200, {"content-length": "17"}, 17),
            (204, {}, 0),
            (304, {"content-length": "5"}, 0),
            (200, {"transfer-encoding": "Chunked"}, None),
        ],
    )
    def test_comes_from_the_headers(
        self, status: int, headers: dict[str, str], length: int | None
    ) -> None:
        """A number, none for chunks."""
        assert length == body_length(Answer(status, headers))

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"content-length": "-1"},
            {"content-length": "+1"},
            {"content-length": "1, 1"},
            {"content-length": ""},
            {"content-length": "²"},
            {"content-length": str(http1.BODY_LIMIT + 1)},
            {"content-length": "9" * 5000},
            {"transfer-encoding": "gzip, chunked"},
            {"transfer-encoding": "chunked", "content-length": "3"},
        ],
    )
    def test_refuses_what_does_not_say(self, headers: dict[str, str]) -> None:
        """No length, two lengths, absurd lengths."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            body_length(Answer(200, headers))


class TestChunks:
    @given(st.lists(st.binary(min_size=1, max_size=50)), st.data())
    def test_reads_a_body_however_it_is_cut(self, pieces: list[bytes], data: st.DataObject) -> None:
        """The payload is the same, wherever the network cuts; what follows stays in the buffer."""
        wire = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces)
        wire += b"0\r\nTrailer: x\r\n\r\nNEXT"
        cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=5).map(sorted))
        chunks, buffer, payload = Chunks(), bytearray(), b""
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            buffer += wire[start:end]
            payload += chunks.feed(buffer)
        assert (b"".join(pieces), True, b"NEXT") == (payload, chunks.done, bytes(buffer))

    def test_gives_out_a_chunk_before_it_is_complete(self) -> None:
        """A stream is read as it comes."""
        chunks, buffer = Chunks(), bytearray(b"a\r\n12345")
        assert chunks.feed(buffer) == b"12345"
        assert chunks.feed(buffer) == b""
        assert not chunks.done

    @pytest.mark.parametrize(
        "wire",
        [
            b"\r\n",
            b"x\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"123456789\r\n",
            b"1\r\nab\r\n",
            b"1" * http1.CHUNK_LINE_LIMIT,
        ],
    )
    def test_refuses_broken_framing(self, wire: bytes) -> None:
        """Sizes are hexadecimal and bounded, chunks end where they say."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            Chunks().feed(bytearray(wire))
