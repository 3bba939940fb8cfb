"""Connections, against real sockets that behave and misbehave."""

import socket
import struct
import tempfile
import threading
from pathlib import Path

import pytest

from claude_mailbox.client.reach.address import Address
from claude_mailbox.client.reach.connection import Connection, ConnectionLost, NotOurs
from claude_mailbox.client.reach.http1 import HEAD_LIMIT, Chunks
from claude_mailbox.errors import DaemonUnreachable
from client.server import Peer, Server, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(connection: Connection, target: str = "/", seconds: float = 10) -> bytes:
    """Send a GET and return the body of the answer."""
    return connection.request("GET", target, [], seconds=seconds).body


def read_all(connection: Connection, chunks: Chunks) -> None:
    """Read a chunked body until it ends or breaks."""
    while not chunks.done:
        connection.read_some(chunks, seconds=10)


def reset(peer: Peer) -> None:
    """End a connection so that the other side gets a reset."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TestRequest:
    def test_over_tcp(self) -> None:
        """The request has the Host of its address."""
        with Server(says(OK)) as server:
            assert get(server.connect()) == b"ok"
        assert f"\r\nHost: {server.address.authority}\r\n".encode() in server.requests[0]

    def test_over_a_unix_socket(self) -> None:
        """The other transport, with Host: localhost."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "s")
            with Server(says(OK), path=path) as server:
                assert get(server.connect()) == b"ok"
            assert b"\r\nHost: localhost\r\n" in server.requests[0]

    def test_several_on_one_connection(self) -> None:
        """The connection is kept, and each answer belongs to its request."""

        def script(peer: Peer) -> None:
            for number in range(3):
                peer.read()
                peer.answer(b"%d" % number)
            peer.await_end()

        with Server(script) as server:
            connection = server.connect()
            assert [get(connection) for _ in range(3)] == [b"0", b"1", b"2"]
            assert not connection.is_stale
            connection.close()

    def test_an_answer_in_many_pieces(self) -> None:
        """Head and body are put together byte by byte."""
        with Server(says(*(bytes([b]) for b in OK))) as server:
            assert get(server.connect()) == b"ok"

    def test_a_chunked_answer(self) -> None:
        """The body without its framing."""
        with Server(says(CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")) as server:
            assert get(server.connect()) == b"abc"

    def test_a_large_answer(self) -> None:
        """More than fits any buffer."""
        body = bytes(range(256)) * 40_000
        with Server(lambda peer: (peer.read(), peer.answer(body))) as server:  # type: ignore[func-returns-value]
            assert get(server.connect()) == body

    def test_answers_without_a_body(self) -> None:
        """204 has none, whatever it says."""
        with Server(says(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
            assert get(server.connect()) == b""

    def test_announcements_are_skipped(self) -> None:
        """100 and 103 come before the real answer."""
        with Server(says(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK)) as server:
            assert get(server.connect()) == b"ok"

    def test_the_server_may_close(self) -> None:
        """Connection: close is heeded."""
        answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")
        with Server(says(answer)) as server:
            connection = server.connect()
            assert get(connection) == b"ok"
            assert connection.is_stale


class TestTrouble:
    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            CHUNKED + b"zz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"x" * (HEAD_LIMIT + 10),
        ],
    )
    def test_a_stranger_is_told_apart(self, answer: bytes) -> None:
        """What is not our HTTP is an error with exit code 2 that names the address."""
        with Server(says(answer)) as server:
            with pytest.raises(NotOurs, match=f"{server.address} is not claude-mailbox") as caught:
                get(server.connect())
            assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
            CHUNKED + b"5\r\nab",
            CHUNKED + b"2\r\nab\r\n",
        ],
    )
    def test_an_answer_cut_short(self, answer: bytes) -> None:
        """Half an answer is none."""
        with Server(says(answer)) as server:
            connection = server.connect()
            with pytest.raises(ConnectionLost, match="went away before it answered"):
                get(connection)
            assert connection.is_stale

    def test_a_reset(self) -> None:
        """A server that dies hard is gone, not a traceback."""

        def script(peer: Peer) -> None:
            peer.read()
            reset(peer)

        with Server(script) as server, pytest.raises(ConnectionLost):
            get(server.connect())

    def test_silence(self) -> None:
        """Time runs out, also for one who drips."""

        def drip(peer: Peer) -> None:
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\n")
            peer.await_end()

        with Server(drip) as server, pytest.raises(ConnectionLost, match="did not answer in time"):
            get(server.connect(), seconds=0.05)

    def test_a_reader_that_does_not_read(self) -> None:
        """A request that nobody takes ends in time."""

        def script(peer: Peer) -> None:
            released.wait(10)

        released = threading.Event()
        with Server(script) as server:
            connection = server.connect()
            with pytest.raises(ConnectionLost, match="did not answer in time"):
                connection.request("POST", "/", [], b"x" * 50_000_000, seconds=0.1)
            released.set()

    def test_nobody_there(self) -> None:
        """A closed port and a missing socket are one clear sentence, exit code 2."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for address in (Address(host="127.0.0.1", port=port), Address(path="/nowhere/at/all")):
            with pytest.raises(DaemonUnreachable) as caught:
                Connection(address)
            assert str(caught.value) == (
                f"No daemon answers at {address}: start it with 'claude-mailbox start'."
            )
            assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "address",
        [
            Address(path="/x" * 200),
            Address(path="/a\0b"),
            Address(host="no-such-host.invalid", port=1),
            Address(host="h" * 300, port=1),
            Address(host="ünïcode", port=1),
        ],
    )
    def test_impossible_addresses(self, address: Address) -> None:
        """They are unreachable, too."""
        with pytest.raises(DaemonUnreachable):
            Connection(address)


class TestStale:
    def test_one_that_the_server_ended(self) -> None:
        """It is noticed before a request is wasted on it."""
        with Server(says(OK)) as server:
            connection = server.connect()
            get(connection)
        assert connection.is_stale

    def test_one_with_bytes_nobody_asked_for(self) -> None:
        """An answer without a question could be taken for the next one's."""
        with Server(says(OK + OK)) as server:
            connection = server.connect()
            get(connection)
            assert connection.is_stale


class TestStream:
    def test_is_read_as_it_comes(self) -> None:
        """Each piece when it is there, nothing while nothing is, an empty one at the end."""
        steps = [threading.Event() for _ in range(2)]

        def script(peer: Peer) -> None:
            peer.read()
            peer.send(CHUNKED + b"3\r\none\r\n")
            steps[0].wait(10)
            peer.send(b"3\r\ntwo\r\n")
            steps[1].wait(10)
            peer.send(b"0\r\n\r\n")
            peer.await_end()

        with Server(script) as server:
            connection, chunks = server.connect(), Chunks()
            connection.open("GET", "/", [], seconds=10)
            assert connection.read_some(chunks, seconds=10) == b"one"
            assert connection.read_some(chunks, seconds=0) == b""
            assert not chunks.done
            steps[0].set()
            assert connection.read_some(chunks, seconds=10) == b"two"
            steps[1].set()
            assert connection.read_some(chunks, seconds=10) == b""
            assert chunks.done
            assert connection.read_some(chunks, seconds=10) == b""
            connection.close()

    def test_a_broken_one(self) -> None:
        """Its end without the last chunk is a loss, bad framing a stranger."""
        for data, error in ((b"3\r\none\r\n", ConnectionLost), (b"3\r\nones\r\n", NotOurs)):
            with Server(says(CHUNKED + data)) as server:
                connection, chunks = server.connect(), Chunks()
                connection.open("GET", "/", [], seconds=10)
                with pytest.raises(error):
                    read_all(connection, chunks)


class TestHangUp:
    def test_softly_what_was_sent_still_arrives(self) -> None:
        """A half-close: the server sees the end, and its answer is read."""

        def script(peer: Peer) -> None:
            peer.read()
            peer.await_end()
            peer.send(OK)

        with Server(script) as server:
            connection = server.connect()
            threading.Timer(0.02, connection.hang_up).start()
            assert get(connection) == b"ok"
            connection.close()

    def test_hard_ends_the_wait_at_once(self) -> None:
        """A blocked read in another thread comes back."""
        with Server(lambda peer: (peer.read(), peer.await_end())) as server:  # type: ignore[func-returns-value]
            connection = server.connect()
            threading.Timer(0.02, lambda: connection.hang_up(hard=True)).start()
            with pytest.raises(ConnectionLost):
                get(connection)

    def test_after_the_end_it_does_nothing(self) -> None:
        """It may come at any time, also from a signal handler."""
        with Server(says(OK)) as server:
            connection = server.connect()
            get(connection)
            connection.close()
            connection.hang_up()
            connection.close()
