"""A lean HTTP/1.1 client for timing: raw sockets, kept connections, requests built beforehand.

It reads answers with a Content-Length and those without a body, which is all that the daemon
sends to requests that it is timed by; anything else is an error rather than a guess.
"""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from bench.errors import BenchError

# Longer than any long-poll that is timed; a daemon that hangs ends the run with a sentence.
PATIENCE_SECONDS = 60.0

# A path for a Unix socket, else host and port.
Address = str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes

    def json(self) -> object:
        """Return the decoded body."""
        return json.loads(self.body)


def build(
    method: str,
    target: str,
    mailbox: str | None = None,
    content: object = None,
    headers: Iterable[str] = (),
) -> bytes:
    """Return the bytes of a request; *content* is sent as JSON."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if mailbox is not None:
        lines.append(f"X-Mailbox: {mailbox}")
    body = b""
    if content is not None:
        body = json.dumps(content, separators=(",", ":")).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode() + body


def send_request(sender: str, to: str, body: str) -> bytes:
    """Return a request that sends a message."""
    return build("POST", "/v1/send", sender, {"to": to, "body": body})


def own_request(method: str, path: str, mailbox: str, **query: float | str) -> bytes:
    """Return a request about the caller's own mailbox."""
    return build(
        method, f"{path}?{urlencode({'name': mailbox, **query}, quote_via=quote)}", mailbox
    )


def split(buffer: bytes | bytearray) -> tuple[int, int, int] | None:
    """Return status, start and end of the body of the response in *buffer*; None if it is not
    all there yet.

    Raises:
        BenchError: if it has neither a length nor a status that goes without.
    """
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    status = int(buffer[9:12])
    start = head_end + 4
    if status in (204, 304):
        return status, start, start
    head = bytes(buffer[:head_end]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise BenchError(f"An answer without Content-Length came: {head[:200]!r}.")
    stop = head.find(b"\r\n", at + 2)
    length = int(head[at + 17 : stop if stop >= 0 else None])
    end = start + length
    return (status, start, end) if len(buffer) >= end else None


def connect(address: Address) -> socket.socket:
    """Return a connected socket that waits for at most `PATIENCE_SECONDS`."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(address)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


class Connection:
    """A kept connection; one request at a time."""

    def __init__(self, address: Address) -> None:
        self._socket = connect(address)
        self._buffer = bytearray()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: bytes) -> None:
        """Send a request and do not wait."""
        self._socket.sendall(request)

    def receive(self) -> Answer:
        """Wait for the next whole answer.

        Raises:
            BenchError: if the connection ends before, or nothing comes.
        """
        while True:
            found = split(self._buffer)
            if found is not None:
                status, start, end = found
                answer = Answer(status, bytes(self._buffer[start:end]))
                del self._buffer[:end]
                return answer
            try:
                data = self._socket.recv(256 * 1024)
            except TimeoutError:
                raise BenchError(f"No answer within {PATIENCE_SECONDS:.0f} s.") from None
            if not data:
                raise BenchError("The daemon closed the connection before its answer was whole.")
            self._buffer += data

    def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer."""
        self._socket.sendall(request)
        return self.receive()

    def expect(self, request: bytes, status: int = 200) -> Answer:
        """Send a request and return its answer, which must have *status*.

        Raises:
            BenchError: if it has another one.
        """
        answer = self.exchange(request)
        check(answer, status)
        return answer

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def check(answer: Answer, status: int = 200) -> None:
    """Raise `BenchError` if *answer* has another status."""
    if answer.status != status:
        raise BenchError(f"Answer {answer.status} where {status} is due: {answer.body[:200]!r}.")
