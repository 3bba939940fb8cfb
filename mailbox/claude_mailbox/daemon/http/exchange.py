"""One request and its response, as ASGI's ``scope``, ``receive`` and ``send``."""

import http
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote_to_bytes

from claude_mailbox.daemon.http.asgi import CONNECTION_KEY, Connection, Message, Scope
from claude_mailbox.daemon.http.parser import Request


class Transport(Connection, Protocol):
    """What an exchange needs of its connection."""

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port that the client connected to, None on a Unix socket."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether the client has sent something that is not valid HTTP."""
        ...

    async def read(self) -> bool:
        """Read and parse more; return whether the client is still there."""
        ...

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write, and do nothing if the client has gone.

        Raises:
            Overloaded: if there is no memory for *pieces*; then nothing was written.
        """
        ...


class Exchange:
    """Reads the request as the application asks for it, and writes the response.

    Args:
        request: its headers are complete, its body may not be.
        transport: the connection.
    """

    def __init__(self, request: Request, transport: Transport) -> None:
        self._request = request
        self._transport = transport
        self._was_given = False
        self._head = b""
        self._is_chunked = False
        self._has_body = True
        self._keeps_alive = request.keeps_alive
        self._is_over = False
        self.has_begun = False
        """Whether the response has begun."""

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another request."""
        return self._is_over and self._keeps_alive and self._request.is_complete

    def scope(self) -> Scope:
        """Return the ASGI scope."""
        request = self._request
        path, _, query = request.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.1"},
            "http_version": request.version,
            "method": request.method,
            "scheme": "http",
            "path": _unquote(path),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": request.headers,
            "client": None,
            "server": self._transport.server,
            "extensions": {},
            CONNECTION_KEY: self._transport,
        }

    async def receive(self) -> Message:
        """Return the next part of the body; after the last one, wait for the disconnect."""
        request = self._request
        while True:
            if request.body:
                body = bytes(request.body)
                request.body.clear()
                self._was_given = request.is_complete
                return {"type": "http.request", "body": body, "more_body": not self._was_given}
            if request.is_complete and not self._was_given:
                self._was_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if not self._was_given:
                if self._transport.has_failed:
                    # The rest of the body will never be known.
                    return {"type": "http.disconnect"}
                await self._invite()
            if not await self._transport.read():
                return {"type": "http.disconnect"}

    async def _invite(self) -> None:
        headers = self._request.headers
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers):
            self._request.headers = [pair for pair in headers if pair[0] != b"expect"]
            await self._transport.write([b"HTTP/1.1 100 Continue\r\n\r\n"])

    async def send(self, message: Message) -> None:
        """Write a part of the response. The head is written with the first part of the body."""
        if message["type"] == "http.response.start":
            self._head = self._make_head(message["status"], message.get("headers", ()))
            return
        body: bytes = message.get("body", b"") if self._has_body else b""
        more = message.get("more_body", False)
        if self._is_chunked:
            pieces = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            if not more:
                pieces.append(b"0\r\n\r\n")
        else:
            pieces = [body] if body else []
        if self._head:
            pieces.insert(0, self._head)
        if pieces:
            await self._transport.write(pieces)
        self._head = b""
        self.has_begun = True
        self._is_over = not more

    def _make_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [_STATUS_LINES[status]]
        has_length = False
        for name, value in headers:
            if b"\n" in value or b"\r" in value:
                raise ValueError(f"line break in the header {name!r}")
            if name == b"content-length":
                has_length = True
            elif name == b"connection" and value == b"close":
                self._keeps_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        self._is_chunked = False
        self._has_body = status not in {204, 304} and self._request.method != "HEAD"
        if self._has_body and not has_length:
            if self._request.version == "1.1":
                self._is_chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self._keeps_alive = False
        if not self._keeps_alive and (b"connection", b"close") not in headers:
            lines.append(b"connection: close\r\n")
        lines.append(_date_line(min(max(int(time.time()), 0), _LAST_SECOND)))
        return b"".join(lines) + b"\r\n"


def _unquote(path: bytes) -> str:
    if b"%" not in path:
        return path.decode("latin-1")
    return unquote_to_bytes(path).decode("utf-8", "replace")


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}


# The end of the year 9999, the last that HTTP's date format has.
_LAST_SECOND = 253_402_300_799


@lru_cache(maxsize=1)
def _date_line(now: int) -> bytes:
    return f"date: {formatdate(now, usegmt=True)}\r\n".encode()
