"""HTTP/1.1 as bytes: no header can start another line, no malformed response is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.reach import http1
from claude_mailbox.client.reach.http1 import (
    ChunkDecoder,
    Response,
    body_length,
    parse_head,
    request_bytes,
)
from claude_mailbox.errors import BadRequest


class TestRequestBytes:
    def test_has_request_line_headers_and_body(self) -> None:
        """The body is declared as JSON, with its length."""
        data = request_bytes("POST", "/v1/send?a=b", [("Host", "x:1")], b"{}")
        assert data == (
            b"POST /v1/send?a=b HTTP/1.1\r\nHost: x:1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )

    def test_a_request_without_a_body_has_no_length(self) -> None:
        """A GET has no headers about a body."""
        assert (
            request_bytes("GET", "/", [("Host", "x")], None) == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )

    def test_header_values_are_utf8(self) -> None:
        """The name of a mailbox may have letters of any script."""
        assert b"X-Mailbox: \xc3\xa9\xe2\x82\xac" in request_bytes(
            "GET", "/", [("X-Mailbox", "é€")], None
        )

    @given(st.text())
    def test_a_header_value_cannot_start_another_line(self, value: str) -> None:
        """For any value there is one header line, or an error."""
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
    def test_refuses_control_characters_and_lone_surrogates(self, value: str) -> None:
        """Header injection is an error."""
        with pytest.raises(BadRequest):
            request_bytes("GET", "/", [("X-Mailbox", value)], None)

    @pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\n"])
    def test_refuses_header_names_that_are_not_tokens(self, name: str) -> None:
        """A header name is a token of RFC 9110."""
        with pytest.raises(BadRequest):
            request_bytes("GET", "/", [(name, "x")], None)

    @pytest.mark.parametrize("target", ["", "x", "/a b", "/a\r\nb", "/é", "/\x7f"])
    def test_refuses_targets_that_break_the_request_line(self, target: str) -> None:
        """A target must be percent-encoded."""
        with pytest.raises(BadRequest):
            request_bytes("GET", target, [], None)

    @given(st.text(st.characters(exclude_categories=("Cs",))))
    def test_quoted_text_is_valid_in_a_query(self, text: str) -> None:
        """It is valid in a target, and decodes to the same text."""
        from urllib.parse import unquote

        quoted = http1.quote(text)
        assert request_bytes("GET", f"/?name={quoted}", [], None)
        assert text == unquote(quoted, errors="strict")


class TestParseHead:
    def test_reads_status_and_headers(self) -> None:
        """Names become lower case, values are stripped, the reason phrase may be missing."""
        response = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length:  5 \r\nX-A: b: c")
        assert (response.status, response.headers) == (200, {"content-length": "5", "x-a": "b: c"})
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
    def test_refuses_malformed_heads(self, head: bytes) -> None:
        """A head that could be understood in two ways is an error."""
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
    def test_is_given_by_the_headers(
        self, status: int, headers: dict[str, str], length: int | None
    ) -> None:
        """A number, or None for a chunked body."""
        assert length == body_length(Response(status, headers))

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
    def test_refuses_headers_without_one_valid_length(self, headers: dict[str, str]) -> None:
        """No length, two lengths, a length over the limit."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            body_length(Response(200, headers))


class TestChunkDecoder:
    @given(st.lists(st.binary(min_size=1, max_size=50)), st.data())
    def test_decodes_a_body_in_any_pieces(self, pieces: list[bytes], data: st.DataObject) -> None:
        """The payload is the same wherever the pieces end; bytes after the body stay in the buffer."""
        wire = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in pieces)
        wire += b"0\r\nTrailer: x\r\n\r\nNEXT"
        cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=5).map(sorted))
        decoder, buffer, payload = ChunkDecoder(), bytearray(), b""
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            buffer += wire[start:end]
            payload += decoder.feed(buffer)
        assert (b"".join(pieces), True, b"NEXT") == (payload, decoder.done, bytes(buffer))

    def test_returns_the_part_of_a_chunk_that_has_come(self) -> None:
        """A stream is read as it arrives."""
        decoder, buffer = ChunkDecoder(), bytearray(b"a\r\n12345")
        assert decoder.feed(buffer) == b"12345"
        assert decoder.feed(buffer) == b""
        assert not decoder.done

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
    def test_refuses_malformed_chunks(self, wire: bytes) -> None:
        """Sizes are hexadecimal and limited, and a chunk ends where its size says."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            ChunkDecoder().feed(bytearray(wire))
