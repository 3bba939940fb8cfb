"""The lean clients: where a reply ends, whatever pieces it comes in."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from bench import load
from bench.beside import beanstalkd, redis
from bench.errors import BenchError
from bench.http1 import Connection, build, own_request, split
from bench.line import Line

HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
NOTHING = b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"
RESP_MAIL = (
    b"*1\r\n*2\r\n$3\r\nbox\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$4\r\nbody\r\n$4\r\na\r\nb\r\n"
)


@contextlib.contextmanager
def answering(*pieces: bytes) -> Iterator[tuple[str, int]]:
    """Answer each request with all *pieces*, one write each, and close after the last client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, pieces))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join()


def _answer(listener: socket.socket, pieces: tuple[bytes, ...]) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(65536):
            for piece in pieces:
                connection.sendall(piece)


def test_a_request_is_written_out_with_its_length() -> None:
    assert build("POST", "/v1/send", "alice", {"to": "bob"}) == (
        b"POST /v1/send HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mailbox: alice\r\n"
        b'Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{"to":"bob"}'
    )
    assert build("POST", "/x").endswith(b"Content-Length: 0\r\n\r\n")


def test_a_mailbox_is_quoted_in_the_query() -> None:
    request = own_request("GET", "/v1/watch", "a b", timeout=1)

    assert request.startswith(b"GET /v1/watch?name=a%20b&timeout=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(("data", "status", "body"), [(HTTP, 200, b"hello"), (NOTHING, 204, b"")])
def test_an_answer_is_found_only_when_it_is_whole(data: bytes, status: int, body: bytes) -> None:
    for length in range(len(data)):
        assert split(data[:length]) is None
    found = split(data + b"HTTP/1.1 ")

    assert found is not None
    assert found[0] == status
    assert data[found[1] : found[2]] == body
    assert found[2] == len(data)


def test_an_answer_of_unknown_length_is_an_error() -> None:
    with pytest.raises(BenchError, match="without Content-Length"):
        split(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_connection_puts_an_answer_together_and_keeps_the_next_one() -> None:
    with answering(HTTP[:20], HTTP[20:] + NOTHING) as address, Connection(address) as connection:
        first = connection.exchange(b"x")
        second = connection.receive()

    assert (first.status, first.body) == (200, b"hello")
    assert (second.status, second.body) == (204, b"")


def test_another_status_than_the_expected_one_is_an_error() -> None:
    with (
        answering(HTTP) as address,
        Connection(address) as connection,
        pytest.raises(BenchError, match="Answer 200 where 204 is due"),
    ):
        connection.expect(b"x", 204)


def test_a_closed_connection_is_an_error_and_no_empty_answer() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 200")
    theirs.close()

    with (
        Line(ours, load.http_reply) as line,
        pytest.raises(BenchError, match="ended before the reply was whole"),
    ):
        line.receive()


def test_the_closed_loop_sends_as_many_as_it_was_told_and_times_each() -> None:
    with answering(HTTP[:10], HTTP[10:]) as address, socket.create_connection(address) as sock:
        result = load.closed_loop([sock], lambda _: b"x", 7)

    assert len(result.latencies) == 7
    assert result.rate > 0


def test_the_closed_loop_ends_with_the_error_it_is_given() -> None:
    with (
        answering(HTTP.replace(b"200", b"429")) as address,
        socket.create_connection(address) as sock,
        pytest.raises(BenchError, match="Answer 429 under load: b'hello'"),
    ):
        load.closed_loop([sock], lambda _: b"x", 2)


@pytest.mark.parametrize(
    ("length", "reply"),
    [
        (redis.reply_length, RESP_MAIL),
        (redis.reply_length, b"$15\r\n1700000000000-0\r\n"),
        (redis.reply_length, b"*-1\r\n"),
        (redis.reply_length, b"$-1\r\n"),
        (redis.reply_length, b":1\r\n"),
        (redis.reply_length, b"+PONG\r\n"),
        (beanstalkd.reply_length, b"INSERTED 7\r\n"),
        (beanstalkd.reply_length, b"RESERVED 7 5\r\na\r\nbc\r\n"),
        (beanstalkd.reply_length, b"DELETED\r\n"),
    ],
)
def test_a_reply_of_another_queue_ends_where_its_protocol_says(
    length: Callable[[bytearray], int], reply: bytes
) -> None:
    assert [length(bytearray(reply[:n])) for n in range(len(reply))] == [0] * len(reply)
    assert length(bytearray(reply + b"+OK\r\n")) == len(reply)


@pytest.mark.parametrize(
    ("length", "reply"),
    [
        (redis.reply_length, b"-ERR no such key\r\n"),
        (beanstalkd.reply_length, b"OUT_OF_MEMORY\r\n"),
    ],
)
def test_an_error_of_another_queue_ends_the_run(
    length: Callable[[bytearray], int], reply: bytes
) -> None:
    with pytest.raises(BenchError, match=r"says: (ERR no such key|OUT_OF_MEMORY)"):
        length(bytearray(reply))
