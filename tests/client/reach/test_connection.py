"""Connections to servers that respond well, badly, late or not at all."""

import socket
import struct
import tempfile
import threading
from pathlib import Path

import pytest

from claude_mailbox.client.reach.address import Address
from claude_mailbox.client.reach.connection import Connection, ConnectionLost, WrongServer
from claude_mailbox.client.reach.http1 import HEAD_LIMIT, ChunkDecoder
from claude_mailbox.errors import DaemonUnreachable
from client.server import Peer, Server, respond_with
from support.commandline import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(connection: Connection, target: str = "/", seconds: float = 10) -> bytes:
    """Send a GET and return the body of the response."""
    return connection.request("GET", target, [], seconds=seconds).body


def read_all(connection: Connection, decoder: ChunkDecoder) -> None:
    """Read a chunked body to its end."""
    while not decoder.done:
        connection.read_some(decoder, seconds=10)


def reset(peer: Peer) -> None:
    """Make the end of a connection a reset."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TestRequest:
    def test_a_request_over_tcp_is_answered(self) -> None:
        """The Host header has the address."""
        with Server(respond_with(OK)) as server:
            assert get(server.connect()) == b"ok"
        assert f"\r\nHost: {server.address.authority}\r\n".encode() in server.requests[0]

    def test_a_request_over_a_unix_socket_is_answered(self) -> None:
        """The Host header is localhost."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "s")
            with Server(respond_with(OK), path=path) as server:
                assert get(server.connect()) == b"ok"
            assert b"\r\nHost: localhost\r\n" in server.requests[0]

    def test_a_connection_is_used_for_several_requests(self) -> None:
        """The connection stays open, and each request gets its own response."""

        def script(peer: Peer) -> None:
            for number in range(3):
                peer.read()
                peer.respond(b"%d" % number)
            peer.await_end()

        with Server(script) as server:
            connection = server.connect()
            assert [get(connection) for _ in range(3)] == [b"0", b"1", b"2"]
            assert not connection.is_stale
            connection.close()

    def test_a_response_in_many_pieces_is_read(self) -> None:
        """Head and body may arrive byte by byte."""
        with Server(respond_with(*(bytes([b]) for b in OK))) as server:
            assert get(server.connect()) == b"ok"

    def test_a_chunked_response_is_read(self) -> None:
        """The body is returned without the chunk sizes."""
        with Server(respond_with(CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")) as server:
            assert get(server.connect()) == b"abc"

    def test_a_large_response_is_read(self) -> None:
        """More than fits into a socket buffer."""
        body = bytes(range(256)) * 40_000
        with Server(lambda peer: (peer.read(), peer.respond(body))) as server:  # type: ignore[func-returns-value]
            assert get(server.connect()) == body

    def test_a_response_without_a_body_is_read(self) -> None:
        """A 204 has no length and no body."""
        with Server(respond_with(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
            assert get(server.connect()) == b""

    def test_interim_responses_are_skipped(self) -> None:
        """A status below 200 comes before the final response."""
        with Server(respond_with(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK)) as server:
            assert get(server.connect()) == b"ok"

    def test_connection_close_closes_the_connection(self) -> None:
        """The next request needs a new connection."""
        response = OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")
        with Server(respond_with(response)) as server:
            connection = server.connect()
            assert get(connection) == b"ok"
            assert connection.is_stale


class TestTrouble:
    @pytest.mark.parametrize(
        "response",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            CHUNKED + b"zz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"x" * (HEAD_LIMIT + 10),
        ],
    )
    def test_another_kind_of_server_is_a_wrong_server(self, response: bytes) -> None:
        """A response that is not well-formed HTTP is an error that names the address; exit code 2."""
        with Server(respond_with(response)) as server:
            with pytest.raises(
                WrongServer, match=f"{server.address} is not claude-mailbox"
            ) as caught:
                get(server.connect())
            assert caught.value.exit_code == 2

    @pytest.mark.parametrize(
        "response",
        [
            b"",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
            CHUNKED + b"5\r\nab",
            CHUNKED + b"2\r\nab\r\n",
        ],
    )
    def test_a_response_that_is_cut_short_is_a_lost_connection(self, response: bytes) -> None:
        """A part of a response is never taken for the whole."""
        with Server(respond_with(response)) as server:
            connection = server.connect()
            with pytest.raises(ConnectionLost, match="went away before it answered"):
                get(connection)
            assert connection.is_stale

    def test_a_reset_is_a_lost_connection(self) -> None:
        """A server that dies is an error like any other."""

        def script(peer: Peer) -> None:
            peer.read()
            reset(peer)

        with Server(script) as server, pytest.raises(ConnectionLost):
            get(server.connect())

    def test_a_response_that_does_not_come_in_time_is_a_lost_connection(self) -> None:
        """The time limit is for the whole response, not for each piece."""

        def script(peer: Peer) -> None:
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\n")
            peer.await_end()

        with (
            Server(script) as server,
            pytest.raises(ConnectionLost, match="did not answer in time"),
        ):
            get(server.connect(), seconds=0.05)

    def test_a_server_that_does_not_read_the_request(self) -> None:
        """Sending a request has a time limit too."""

        def script(peer: Peer) -> None:
            released.wait(10)

        released = threading.Event()
        with Server(script) as server:
            connection = server.connect()
            with pytest.raises(ConnectionLost, match="did not answer in time"):
                connection.request("POST", "/", [], b"x" * 50_000_000, seconds=0.1)
            released.set()

    def test_without_a_listener_the_error_says_what_to_do(self) -> None:
        """For a closed port and a missing socket, the sentence says what to do; exit code 2."""
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
    def test_an_impossible_address_is_unreachable(self, address: Address) -> None:
        """An address that cannot exist counts as unreachable."""
        with pytest.raises(DaemonUnreachable):
            Connection(address)


class TestStale:
    def test_a_connection_that_the_server_has_closed_is_stale(self) -> None:
        """It becomes stale without another request."""
        with Server(respond_with(OK)) as server:
            connection = server.connect()
            get(connection)
            until(lambda: connection.is_stale, "the end of the connection")

    def test_a_connection_with_unexpected_bytes_is_stale(self) -> None:
        """They could be taken for the response to the next request."""

        def script(peer: Peer) -> None:
            peer.read()
            peer.send(OK + OK)
            peer.await_end()

        with Server(script) as server:
            connection = server.connect()
            get(connection)
            assert connection.is_stale


class TestStream:
    def test_is_read_as_it_arrives(self) -> None:
        """Each piece as soon as it is there, b"" while none is and at the end."""
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
            connection, decoder = server.connect(), ChunkDecoder()
            connection.open("GET", "/", [], seconds=10)
            assert connection.read_some(decoder, seconds=10) == b"one"
            assert connection.read_some(decoder, seconds=0) == b""
            assert not decoder.done
            steps[0].set()
            assert connection.read_some(decoder, seconds=10) == b"two"
            steps[1].set()
            assert connection.read_some(decoder, seconds=10) == b""
            assert decoder.done
            assert connection.read_some(decoder, seconds=10) == b""
            connection.close()

    def test_a_stream_that_breaks_is_an_error(self) -> None:
        """Without a last chunk the connection is lost; malformed chunks are a wrong server."""
        for data, error in ((b"3\r\none\r\n", ConnectionLost), (b"3\r\nones\r\n", WrongServer)):
            with Server(respond_with(CHUNKED + data)) as server:
                connection, decoder = server.connect(), ChunkDecoder()
                connection.open("GET", "/", [], seconds=10)
                with pytest.raises(error):
                    read_all(connection, decoder)


class TestHangUp:
    def test_soft_still_reads_the_response(self) -> None:
        """The server sees our end of the connection close, and its response is read."""

        def script(peer: Peer) -> None:
            peer.read()
            connection.hang_up()  # called in the thread of the server
            peer.await_end()
            peer.send(OK)

        with Server(script) as server:
            connection = server.connect()
            assert get(connection) == b"ok"
            connection.close()

    def test_hard_ends_the_wait_for_a_response(self) -> None:
        """A read that is blocked in another thread raises."""

        def script(peer: Peer) -> None:
            peer.read()
            connection.hang_up(hard=True)  # called in the thread of the server
            peer.await_end()

        with Server(script) as server:
            connection = server.connect()
            with pytest.raises(ConnectionLost):
                get(connection)

    def test_does_nothing_on_a_closed_connection(self) -> None:
        """A signal handler may call it at any time."""
        with Server(respond_with(OK)) as server:
            connection = server.connect()
            get(connection)
            connection.close()
            connection.hang_up()
            connection.close()
