"""Connections to the daemon over a Unix socket or TCP.

``http.client`` costs 28 ms to import and ``socket`` 7; ``_socket`` under them costs less than one.
"""

import _socket
import sys
import time

from claude_mailbox.client.reach.address import Address
from claude_mailbox.client.reach.http1 import (
    BODY_LIMIT,
    HEAD_LIMIT,
    ChunkDecoder,
    Response,
    body_length,
    parse_head,
    request_bytes,
)
from claude_mailbox.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.tls import TlsSocket

CONNECT_SECONDS = 5.0
_RECEIVE_BYTES = 256 * 1024
# On Windows Ctrl-C does not interrupt a blocked read, so we read in short slices there.
_SLICE_SECONDS = 0.25 if sys.platform == "win32" else None
_START = "start it with 'claude-mailbox start'"


class ConnectionLost(DaemonUnreachable):
    """The connection ended, or the time ran out, before the whole response was there."""


class NoAnswer(ConnectionLost):
    """A daemon is there, but is stuck or too busy to answer in time."""


class SocketForbidden(DaemonUnreachable):
    """This process may not use Unix sockets, as in some sandboxes."""


class WrongServer(DaemonUnreachable):
    """The server at the address is not a claude-mailbox daemon."""


class Connection:
    """One connection to the daemon: one request at a time, kept open between requests.

    Args:
        address: of the daemon.
        seconds: how long to try.
        token: sent with each request, if the daemon is on another machine.

    Raises:
        DaemonUnreachable: if nobody answers at *address*.
    """

    def __init__(
        self, address: Address, *, seconds: float = CONNECT_SECONDS, token: str | None = None
    ) -> None:
        self.address = address
        self.is_open = True
        self._fixed_headers = [("Host", address.authority)]
        if token is not None:
            self._fixed_headers.append(("Authorization", f"Bearer {token}"))
        self._buffer = bytearray()
        self._socket = _connect(address, min(seconds, CONNECT_SECONDS))

    def request(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None = None,
        *,
        seconds: float,
    ) -> Response:
        """Send a request and return the whole response.

        Raises:
            ConnectionLost: if it is not there within *seconds*, or the connection ends.
            WrongServer: if it is not well-formed HTTP.
            BadRequest: if the request would be malformed; nothing was sent.
        """
        deadline = time.monotonic() + seconds
        response = self.open(method, target, headers, body, seconds=seconds)
        self.read_body(response, seconds=max(0.001, deadline - time.monotonic()))
        return response

    def open(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None = None,
        *,
        seconds: float,
    ) -> Response:
        """Send a request and return the response without its body, which is still to be read.

        Raises:
            As `request` does.
        """
        data = request_bytes(method, target, [*self._fixed_headers, *headers], body)
        deadline = time.monotonic() + seconds
        self._send(data, deadline)
        while True:
            end = self._buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT)
            if end < 0:
                if len(self._buffer) >= HEAD_LIMIT:
                    raise self._wrong_server(ValueError("head too long"))
                self._fill(deadline)
                continue
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            try:
                response = parse_head(head)
            except ValueError as error:
                raise self._wrong_server(error) from None
            if response.status >= 200:  # lower ones are interim responses
                return response

    def read_body(self, response: Response, *, seconds: float) -> None:
        """Read the whole body of *response*, which came from `open`, into it.

        Raises:
            As `request` does.
        """
        deadline = time.monotonic() + seconds
        try:
            length = body_length(response)
            if length is None:
                response.body = self._read_chunks(deadline)
            else:
                while len(self._buffer) < length:
                    self._fill(deadline)
                response.body = bytes(self._buffer[:length])
                del self._buffer[:length]
        except ValueError as error:
            raise self._wrong_server(error) from None
        if self._buffer or response.headers.get("connection", "").lower() == "close":
            self.close()

    def read_some(self, decoder: ChunkDecoder, *, seconds: float) -> bytes:
        """Return the next part of a chunked body, b"" at its end.

        With 0 *seconds* b"" can also mean that nothing has come yet: see ``decoder.done``.

        Raises:
            As `request` does.
        """
        deadline = time.monotonic() + seconds
        while not decoder.done:
            try:
                payload = decoder.feed(self._buffer)
            except ValueError as error:
                raise self._wrong_server(error) from None
            if payload or decoder.done:
                return payload
            if not self._fill(deadline, wait=seconds > 0):
                break
        return b""

    @property
    def is_stale(self) -> bool:
        """Whether the daemon has closed the connection, or sent bytes that belong to no request."""
        if not self.is_open or self._buffer:
            return True
        try:
            self._socket.settimeout(0)
            self._socket.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def fileno(self) -> int:
        """Return the descriptor of the socket, to wait for it together with others."""
        return self._socket.fileno()

    def hang_up(self, *, hard: bool = False) -> None:
        """Tell the daemon that we leave; may be called from a signal handler or another thread.

        A blocked read then returns what the daemon had already sent, or raises `ConnectionLost`.
        With *hard* it raises at once.
        """
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._socket.shutdown(_socket.SHUT_RDWR if hard else _socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection. Never raises, and may be called twice."""
        self.is_open = False
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._socket.close()
        except OSError:
            pass

    def _read_chunks(self, deadline: float) -> bytes:
        decoder = ChunkDecoder()
        pieces = []
        size = 0
        while True:
            payload = decoder.feed(self._buffer)
            pieces.append(payload)
            size += len(payload)
            if size > BODY_LIMIT:
                raise ValueError("body over the limit")
            if decoder.done:
                return b"".join(pieces)
            self._fill(deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(error) from None

    def _fill(self, deadline: float, *, wait: bool = True) -> bool:
        """Read once into the buffer; return False if nothing is there and we are not to wait."""
        while True:
            left = max(0.001, deadline - time.monotonic()) if wait else 0
            try:
                self._socket.settimeout(min(left, _SLICE_SECONDS or left))
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return False
            except TimeoutError as error:
                if time.monotonic() < deadline:
                    continue
                raise self._lost(error) from None
            except OSError as error:
                raise self._lost(error) from None
            if not data:
                raise self._lost(None)
            self._buffer += data
            return True

    def _lost(self, error: OSError | None) -> ConnectionLost:
        self.close()
        if isinstance(error, TimeoutError):
            return _no_answer(self.address)
        return ConnectionLost(f"The daemon at {self.address} went away before it answered.")

    def _wrong_server(self, error: ValueError) -> WrongServer:
        self.close()
        return WrongServer(
            f"The server at {self.address} is not claude-mailbox (malformed {error}): "
            "see 'claude-mailbox doctor'."
        )


def _no_answer(address: Address) -> NoAnswer:
    return NoAnswer(f"The daemon at {address} did not answer in time: see 'claude-mailbox doctor'.")


def _connect(address: Address, seconds: float) -> "_socket.socket | TlsSocket":
    """Return a connected socket, or raise `DaemonUnreachable`."""
    failure: OSError | None = None
    try:
        targets = _socket_addresses(address)
    except (OSError, UnicodeError) as error:
        targets, failure = [], error if isinstance(error, OSError) else None
    for family, target in targets:
        sock = None
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM)
            sock.settimeout(seconds)
            sock.connect(target)
            if family != getattr(_socket, "AF_UNIX", None):
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if address.is_tls:
                from claude_mailbox.client.reach.tls import wrap

                return wrap(sock, address)
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
        else:
            return sock
    raise _unreachable(address, failure)


def _unreachable(address: Address, failure: OSError | None) -> DaemonUnreachable:
    """Return the error for an attempt to connect that ended with *failure*."""
    # On a Unix socket the second means that nobody accepts the connections that wait there.
    if isinstance(failure, TimeoutError | BlockingIOError):
        return _no_answer(address)
    import errno  # imported here because a hook rarely needs it

    # What a sandbox answers to a socket, or to connecting it.
    forbidden = (errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT)
    if address.path is not None and failure is not None and failure.errno in forbidden:
        return SocketForbidden(
            f"No Unix socket may be used here ({failure.strerror}), so that the daemon cannot be"
            f" reached at {address}: allow this in the sandbox, or give its TCP address with --url."
        )
    why = ""
    # Two errors need no explanation: nobody listens there.
    if failure is not None and failure.errno not in (errno.ECONNREFUSED, errno.ENOENT):
        why = f" ({failure.strerror or failure})"
    cure = "check the address, and that it runs there" if address.is_tls else _START
    return DaemonUnreachable(f"No daemon answers at {address}{why}: {cure}.")


def _socket_addresses(address: Address) -> list[tuple[int, str | tuple[object, ...]]]:
    if address.path is not None:
        return [(_socket.AF_UNIX, address.path)] if hasattr(_socket, "AF_UNIX") else []
    # As bytes: the IDNA codec, which strings go through, imports `re`.
    host = address.host.encode("ascii")
    found = _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM)
    return [(family, target) for family, _, _, _, target in found]
