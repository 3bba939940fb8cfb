"""A small HTTP/1.1 client that can also misbehave: half requests, resets, raw bytes."""

import json
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from support.daemon import PATIENCE_SECONDS
from support.network import TlsAddress

Address = str | tuple[str, int] | TlsAddress
JSON_HEADERS = {"Content-Type": "application/json"}

# The head of a send, up to the header that says how long the body is.
POST = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON, which must be declared as such."""
        assert self.headers.get("content-type") == "application/json", self
        return json.loads(self.body)

    def error(self, status: int, reason: str) -> str:
        """Return the sentence of an error, after a look at its form."""
        assert status == self.status, self
        content = self.json()
        assert reason == content["reason"], content
        sentence = content["error"]
        assert isinstance(sentence, str)
        assert len(sentence) > 10
        assert sentence.endswith((".", "!")), sentence
        return sentence


class ClosedByDaemon(Exception):
    """The daemon closed the connection before a whole response had come."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"closed after {received[:200]!r}")
        self.received = received


def path(route: str, **parameters: object) -> str:
    """Return *route* with a query of those parameters that are not None."""
    pairs = [
        f"{key}={quote(str(value), safe='')}"
        for key, value in parameters.items()
        if value is not None
    ]
    return f"{route}?{'&'.join(pairs)}" if pairs else route


class Connection:
    """One connection, kept alive. Every wait ends after a long while, with an error.

    Args:
        address: host and port, the path of a Unix socket, or where TLS is spoken.
        receive_buffer: bytes to take in at once, for clients that are slow; also the size of the
            kernel's buffer for them.
    """

    def __init__(self, address: Address, *, receive_buffer: int | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_SECONDS)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._fixed_headers = {"Host": "localhost"}
        try:
            if isinstance(address, TlsAddress):
                self.socket.connect((address.host, address.port))
                wrap = address.context.wrap_socket
                self.socket = wrap(self.socket, server_hostname=address.host)
                self._fixed_headers["Authorization"] = f"Bearer {address.token}"
            else:
                self.socket.connect(address)
                if not isinstance(address, str):
                    self._fixed_headers["Host"] = f"{address[0]}:{address[1]}"
        except BaseException:
            self.socket.close()
            raise
        self._buffer = b""
        self._read_size = receive_buffer or 1 << 20

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def request(self, method: str, target: str, name: str | None = None, **options: Any) -> Reply:
        """Send a request and return its response; see ``start``."""
        self.start(method, target, name, **options)
        return self.read(method)

    def start(
        self,
        method: str,
        target: str,
        name: str | None = None,
        *,
        content: object = None,
        body: bytes | None = None,
        headers: dict[str, str | bytes] | None = None,
    ) -> None:
        """Send a request and do not wait for its response.

        Args:
            method: HTTP method.
            target: path and query.
            name: for the header ``X-Mailbox``.
            content: the body as a JSON value.
            body: the body as bytes.
            headers: further headers; a value of bytes is sent as it is.
        """
        if content is not None:
            body = json.dumps(content).encode()
        lines: dict[str, str | bytes] = {**self._fixed_headers, **(headers or {})}
        if body is not None:
            lines = {**JSON_HEADERS, "Content-Length": str(len(body)), **lines}
        if name is not None:
            lines["X-Mailbox"] = name
        head = [f"{method} {target} HTTP/1.1\r\n".encode()]
        head += [
            key.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
            for key, value in lines.items()
        ]
        self.write(b"".join([*head, b"\r\n", body or b""]))

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def read(self, method: str = "GET") -> Reply:
        """Return the next response.

        Raises:
            ClosedByDaemon: if the connection ends before the response does.
        """
        while True:
            while b"\r\n\r\n" not in self._buffer:
                self._fill()
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ", 2)[1])
            if status >= 200:
                break
        headers: dict[str, str] = {}
        for line in lines:
            key, _, value = line.partition(":")
            headers[key.lower()] = value.strip()
        return Reply(status, headers, self._read_body(method, status, headers))

    def _read_body(self, method: str, status: int, headers: dict[str, str]) -> bytes:
        if method == "HEAD" or status in {204, 304}:
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self.read_chunk, b""))
        return self.read_exactly(int(headers["content-length"]))

    def read_chunk(self) -> bytes:
        """Return the next chunk of a chunked body; empty at its end."""
        size = int(self._read_line().split(b";")[0], 16)
        return self.read_exactly(size + 2)[:-2]

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def read_exactly(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_head(self) -> bytes:
        """Return the bytes of a response's head, and leave its body."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def read_to_end(self) -> bytes:
        """Return everything until the daemon closes the connection."""
        try:
            while True:
                self._fill()
        except ClosedByDaemon as closed:
            return closed.received

    def _fill(self) -> None:
        try:
            data = self.socket.recv(self._read_size)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            received, self._buffer = self._buffer, b""
            raise ClosedByDaemon(received)
        self._buffer += data

    def close(self) -> None:
        """Close, as a client does that ends."""
        self.socket.close()

    def close_half(self) -> None:
        """Say that nothing more will be sent, and stay to read."""
        # Of a TLS connection, the one below: what comes is still to be decrypted.
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset, as the kernel does for a process that dies with unread data."""
        if self.socket.family == socket.AF_INET:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()
