"""What a request may bring along besides its body, and what of it is kept."""

import pytest

from claude_mailbox.daemon.http.parser import HeadTooLarge, Parser
from claude_mailbox.errors import MailboxError

KIBIBYTE = 1024
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def feed_until_refused(parser: Parser, piece: bytes) -> int:
    """Feed *piece* again and again; return how many bytes were taken."""
    taken = 0
    while taken < 1024 * KIBIBYTE:
        try:
            parser.feed(piece)
        except HeadTooLarge:
            return taken
        taken += len(piece)
    return taken


def test_a_trailer_is_no_header() -> None:
    """It comes after the headers were looked at, so it could name another sender."""
    parser = Parser()
    parser.feed(CHUNKED + b"2\r\n{}\r\n0\r\nX-Mailbox: somebody-else\r\n\r\n")

    (request,) = parser.requests
    assert [name for name, _ in request.headers] == [b"host", b"transfer-encoding"]
    assert bytes(request.body) == b"{}"
    assert request.is_complete


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(b"GET /", b"a" * KIBIBYTE, id="target"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"a" * KIBIBYTE, id="header value"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"a" * KIBIBYTE, id="header name"),
        pytest.param(b"", b"\r\n" * 512, id="empty lines"),
        pytest.param(CHUNKED + b"0\r\n", b"X: y\r\n" * 100, id="trailers"),
        pytest.param(CHUNKED + b"0\r\nX: ", b"a" * KIBIBYTE, id="trailer value"),
        pytest.param(CHUNKED + b"2;x=", b"a" * KIBIBYTE, id="chunk extension"),
        pytest.param(CHUNKED, b"1;" + b"x" * 200 + b"\r\nb\r\n", id="extension of each chunk"),
        pytest.param(CHUNKED, b"0" * KIBIBYTE, id="chunk size"),
    ],
)
def test_a_head_without_an_end_is_refused(begin: bytes, piece: bytes) -> None:
    """After 64 KiB, wherever in the request it stands."""
    parser = Parser()
    parser.feed(begin)

    assert feed_until_refused(parser, piece) <= 70 * KIBIBYTE


def test_many_small_chunks_are_one_body() -> None:
    """They are neither refused nor kept one by one."""
    parser = Parser()
    parser.feed(CHUNKED)
    for _ in range(100):
        parser.feed(b"1\r\nx\r\n" * 1000)
    parser.feed(b"0\r\n\r\n")

    (request,) = parser.requests
    assert bytes(request.body) == b"x" * 100_000
    assert request.is_complete


@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
def test_a_request_with_many_headers_is_not_carried_out(upgrade: bytes) -> None:
    """Each header takes more memory than its bytes."""
    parser = Parser()
    with pytest.raises(HeadTooLarge, match="128 headers"):
        parser.feed(b"GET / HTTP/1.1\r\n" + upgrade + b"a:\r\n" * 200 + b"\r\n")

    assert not parser.requests


def test_requests_sent_ahead_count_with_their_heads() -> None:
    """So that heads alone cannot fill the memory."""
    parser = Parser()
    head = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"X: " + b"x" * 30_000 + b"\r\n\r\n"
    count = 0
    while not parser.is_far_ahead:
        parser.feed(head)
        count += 1

    assert count < 40
    assert parser.size < 2 * 1024 * KIBIBYTE


def test_small_chunks_do_not_raise_the_limit() -> None:
    """What a trailer may be does not grow with the chunks before it."""
    parser = Parser()
    parser.feed(CHUNKED)
    for _ in range(100):
        parser.feed(b"1\r\nx\r\n" * 1000)
    parser.feed(b"0\r\n")

    assert feed_until_refused(parser, b"X: y\r\n" * 100) <= 70 * KIBIBYTE
    with pytest.raises(MailboxError):
        parser.feed(b"X" * 70 * KIBIBYTE)
