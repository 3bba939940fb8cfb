"""Connections to the daemon over a Unix socket or TCP.

``http.client`` costs 28 ms to import and ``socket`` 7; ``_socket`` under them costs less than one.
"""

import _socket
import errno
import sys
import time

from claude_mailbox.client.reach.address import Address
from claude_mailbox.client.reach.http1 import (
    BODY_LIMIT,
    HEAD_LIMIT,
    Answer,
    Chunks,
    body_length,
    parse_head,
    request_bytes,
)
from claude_mailbox.errors import DaemonUnreachable

CONNECT_SECONDS = 5.0
_RECEIVE_BYTES = 256 * 1024
# A blocked read on Windows does not notice Ctrl-C, so it is done in slices.
_SLICE_SECONDS = 0.25 if sys.platform == "win32" else None
_NOBODY = frozenset({errno.ECONNREFUSED, errno.ENOENT})


class ConnectionLost(DaemonUnreachable):
    """The connection ended, or time ran out, before the whole answer was there."""


class NotOurs(DaemonUnreachable):
    """What answers at the address does not speak HTTP as a claude-mailbox daemon does."""


class Connection:
    """One connection to the daemon: one request at a time, kept open between them.

    As a context manager it is closed at the end.

    Raises:
        DaemonUnreachable: if nobody answers at *address*.
    """

    def __init__(self, address: Address, connect_seconds: float = CONNECT_SECONDS) -> None:
        self.address = address
        self.is_open = True
        self._buffer = bytearray()
        self._socket = _connect(address, connect_seconds)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None = None,
        *,
        seconds: float,
    ) -> Answer:
        """Send a request and return the whole answer.

        Raises:
            ConnectionLost: if it is not there within *seconds*, or the connection ends.
            NotOurs: if it is not HTTP as we know it.
            BadRequest: if the request would be malformed; nothing was sent.
        """
        deadline = time.monotonic() + seconds
        answer = self.open(method, target, headers, body, seconds=seconds)
        self.read_body(answer, seconds=max(0.001, deadline - time.monotonic()))
        return answer

    def open(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None = None,
        *,
        seconds: float,
    ) -> Answer:
        """Send a request and return the answer's head; the body is still to be read.

        Raises:
            As `request` does.
        """
        data = request_bytes(method, target, [("Host", self.address.authority), *headers], body)
        deadline = time.monotonic() + seconds
        self._send(data, deadline)
        while True:
            end = self._buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT)
            if end < 0:
                if len(self._buffer) >= HEAD_LIMIT:
                    raise self._not_ours(ValueError("head too long"))
                self._fill(deadline)
                continue
            head = bytes(self._buffer[:end])
            del self._buffer[: end + 4]
            try:
                answer = parse_head(head)
            except ValueError as error:
                raise self._not_ours(error) from None
            if answer.status >= 200:  # those below announce the real one
                return answer

    def read_body(self, answer: Answer, *, seconds: float) -> None:
        """Read the whole body that follows the head *answer* into it.

        Raises:
            As `request` does.
        """
        deadline = time.monotonic() + seconds
        try:
            length = body_length(answer)
            if length is None:
                answer.body = self._read_chunks(deadline)
            else:
                while len(self._buffer) < length:
                    self._fill(deadline)
                answer.body = bytes(self._buffer[:length])
                del self._buffer[:length]
        except ValueError as error:
            raise self._not_ours(error) from None
        if self._buffer or answer.headers.get("connection", "").lower() == "close":
            self.close()

    def read_some(self, chunks: Chunks, *, seconds: float) -> bytes:
        """Return the next payload of a chunked body, b"" at its end.

        With 0 *seconds* b"" also means that nothing has come yet: see ``chunks.done``.

        Raises:
            As `request` does.
        """
        deadline = time.monotonic() + seconds
        while not chunks.done:
            try:
                payload = chunks.feed(self._buffer)
            except ValueError as error:
                raise self._not_ours(error) from None
            if payload or chunks.done:
                return payload
            if not self._fill(deadline, is_patient=seconds > 0):
                break
        return b""

    @property
    def is_stale(self) -> bool:
        """Whether the kept connection was ended by the other side, or has bytes nobody asked for."""
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
        """Return the socket's descriptor, to wait for it among others."""
        return self._socket.fileno()

    def hang_up(self, *, hard: bool = False) -> None:
        """Tell the daemon that we leave, from a signal handler or another thread.

        A blocked read then yields what the daemon had already sent, or `ConnectionLost`; with
        *hard* it ends at once.
        """
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._socket.shutdown(_socket.SHUT_RDWR if hard else _socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection; it does not raise, and may be called twice."""
        self.is_open = False
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._socket.close()
        except OSError:
            pass

    def _read_chunks(self, deadline: float) -> bytes:
        chunks = Chunks()
        pieces = []
        size = 0
        while True:
            payload = chunks.feed(self._buffer)
            pieces.append(payload)
            size += len(payload)
            if size > BODY_LIMIT:
                raise ValueError("body over the limit")
            if chunks.done:
                return b"".join(pieces)
            self._fill(deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(error) from None

    def _fill(self, deadline: float, *, is_patient: bool = True) -> bool:
        """Read once into the buffer; False when nothing is there and we must not wait."""
        while True:
            left = max(0.001, deadline - time.monotonic()) if is_patient else 0
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
            return ConnectionLost(
                f"The daemon at {self.address} did not answer in time: see 'claude-mailbox doctor'."
            )
        return ConnectionLost(f"The daemon at {self.address} went away before it answered.")

    def _not_ours(self, error: ValueError) -> NotOurs:
        self.close()
        return NotOurs(
            f"What answers at {self.address} is not claude-mailbox (malformed {error}): "
            "see 'claude-mailbox doctor'."
        )


def _connect(address: Address, seconds: float) -> "_socket.socket":
    """Return a connected socket, or raise `DaemonUnreachable`."""
    failure: OSError | None = None
    try:
        targets = _targets(address)
    except (OSError, UnicodeError) as error:
        targets, failure = [], error if isinstance(error, OSError) else None
    for family, target in targets:
        sock = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(target)
            if family != getattr(_socket, "AF_UNIX", None):
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as error:
            failure = error
            sock.close()
        else:
            return sock
    why = "" if failure is None or failure.errno in _NOBODY else f" ({failure.strerror or failure})"
    raise DaemonUnreachable(
        f"No daemon answers at {address}{why}: start it with 'claude-mailbox start'."
    )


def _targets(address: Address) -> list[tuple[int, str | tuple[object, ...]]]:
    if address.path is not None:
        return [(_socket.AF_UNIX, address.path)] if hasattr(_socket, "AF_UNIX") else []
    # As bytes, because a string would go through the IDNA codec, which imports `re`.
    host = address.host.encode("ascii")
    found = _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM)
    return [(family, target) for family, _, _, _, target in found]
