"""A lean ASGI server: for our own command line and hooks, for REST and for MCP.

Hypercorn can do far more; per request that costs it several tasks and channels. Here one task
serves one connection, the application runs in it, and the socket is read only when the
application asks for more, be it for the request's body or to learn of the disconnect.
"""

import http
import logging
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import trio

from claude_mailbox.daemon.http.asgi import CLIENT_KEY, App, Message, Scope, send_error
from claude_mailbox.daemon.http.parser import Parser, Request
from claude_mailbox.daemon.http.stream import Gone, Stream
from claude_mailbox.errors import MailboxError

logger = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024
_IDLE_SECONDS = 75
_TIDY_SECONDS = 15
# How much of what is no HTTP is read and thrown away, how long for, and how long it may pause.
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_SECONDS = 2
_DRAIN_PAUSE_SECONDS = 0.25
# How often a client that has sent far ahead is looked after.
_HANG_UP_SECONDS = 0.2
# How many pieces of what has come are read at most to see whether the end is behind them.
_LOOKS = 3


class _Exchange:
    """One request and its response: the application's ``receive`` and ``send``."""

    def __init__(self, request: Request, connection: "_Connection") -> None:
        self._request = request
        self._connection = connection
        self._was_given = False
        self._head = b""
        self._is_chunked = False
        self._has_body = True
        self.has_begun = False
        self.is_over = False
        self.keeps_alive = request.keeps_alive

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
            "server": self._connection.server,
            "extensions": {},
            CLIENT_KEY: self._connection,
        }

    async def receive(self) -> Message:
        """Return the next part of the body; after it, wait for the disconnect."""
        request = self._request
        while True:
            if request.chunks:
                body = request.chunks.popleft()
                self._was_given = request.is_complete and not request.chunks
                return {"type": "http.request", "body": body, "more_body": not self._was_given}
            if request.is_complete and not self._was_given:
                self._was_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if not self._was_given:
                if self._connection.failure is not None:
                    # What is left of the body will never be known.
                    return {"type": "http.disconnect"}
                await self._invite()
            if not await self._connection.read():
                return {"type": "http.disconnect"}

    async def _invite(self) -> None:
        headers = self._request.headers
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers):
            self._request.headers = [pair for pair in headers if pair[0] != b"expect"]
            await self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def send(self, message: Message) -> None:
        """Take a part of the response. The head leaves together with the first of the body."""
        if message["type"] == "http.response.start":
            self._head = self._make_head(message["status"], message.get("headers", ()))
            self.has_begun = True
            return
        body: bytes = message.get("body", b"") if self._has_body else b""
        more = message.get("more_body", False)
        if self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"" if more else b"0\r\n\r\n"
            )
        data, self._head = self._head + body, b""
        self.is_over = not more
        if data:
            await self._connection.write(data)

    def _make_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [_STATUS_LINES[status]]
        has_length = False
        for name, value in headers:
            if b"\n" in value or b"\r" in value:
                raise ValueError(f"line break in the header {name!r}")
            has_length = has_length or name == b"content-length"
            if name == b"connection" and value == b"close":
                self.keeps_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        self._has_body = status not in {204, 304} and self._request.method != "HEAD"
        if self._has_body and not has_length:
            if self._request.version == "1.1":
                self._is_chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keeps_alive = False
        if not self.keeps_alive and (b"connection", b"close") not in headers:
            lines.append(b"connection: close\r\n")
        lines.append(_date_line(int(time.time())))
        return b"".join(lines) + b"\r\n"

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another request."""
        return self.is_over and self.keeps_alive and self._request.is_complete


class _Connection:
    """One client: its stream, and requests one after the other."""

    def __init__(self, stream: Stream, app: App, is_closing: Callable[[], bool]) -> None:
        self._stream = stream
        self.server = stream.address
        self._app = app
        self._is_closing = is_closing
        self._parser = Parser()
        self.failure: MailboxError | None = None
        self._broken = trio.Event()
        self.idle_since = trio.current_time()
        """When it was last answered all that it asked, in trio's seconds; infinite at work."""

    async def read(self) -> bool:
        """Read more; return whether the client is still there."""
        if self._parser.is_far_ahead:
            # Nothing more is read before an answer, so nothing wakes us at the end.
            while not (self._stream.has_hung_up() or self._broken.is_set()):
                with trio.move_on_after(_HANG_UP_SECONDS):
                    await self._broken.wait()
            return False
        data = await self._stream.receive(_READ_BYTES)
        if not data:
            return False
        if self.failure is not None:
            # There is no way back into the stream; what is of interest is only its end.
            return True
        self.take(data)
        return True

    async def look(self) -> bool:
        """Return whether the client is still there, as far as has come in by now."""
        for _ in range(_LOOKS):
            if self._parser.is_far_ahead or not self._stream.has_come():
                break
            if not await self.read():
                return False
        return not self._stream.has_hung_up()

    def take(self, data: bytes) -> None:
        """Parse what the client sent."""
        try:
            self._parser.feed(data)
        except MailboxError as error:
            self.failure = error

    async def _drain(self) -> None:
        """Read what the client still sends: a close with bytes unread is a reset."""
        left = _DRAIN_BYTES
        with trio.move_on_after(_DRAIN_SECONDS):
            while left > 0:
                data = b""
                with trio.move_on_after(_DRAIN_PAUSE_SECONDS):
                    data = await self._stream.receive(_READ_BYTES)
                if not data:
                    return
                left -= len(data)

    def has_whole_request(self) -> bool:
        """Return whether the request, with all of its body, is here."""
        return self._parser.requests[0].is_complete

    def is_broken(self) -> bool:
        """Return whether something could not be written: the client has not got it."""
        return self._broken.is_set()

    async def write(self, data: bytes) -> None:
        """Write, if the client is still there: ``receive`` tells that it is not."""
        try:
            await self._stream.send(data)
        except Gone:
            self._broken.set()

    async def serve(self) -> None:
        """Answer until either side has enough."""
        while not self._is_closing():
            self.idle_since = trio.current_time()
            while not self._parser.requests and self.failure is None:
                if not await self.read():
                    return
            self.idle_since = math.inf
            if not self._parser.requests:
                if self.failure is not None:
                    exchange = _Exchange(Request(), self)
                    await send_error(exchange.send, self.failure, close=True)
                    await self._drain()
                return
            # It stays at the head of the queue until it is answered, so that its body, which may
            # still be coming, is bounded by the same look-ahead.
            exchange = _Exchange(self._parser.requests[0], self)
            await self._app(exchange.scope(), exchange.receive, exchange.send)
            if self.failure is not None and not exchange.has_begun:
                await send_error(exchange.send, self.failure, close=True)
            if not exchange.is_reusable:
                return
            self._parser.requests.popleft()
            if self._parser.requests:
                # Who sends many at once must not keep the others waiting.
                await trio.lowlevel.checkpoint()


class Clients:
    """The connections that are served here.

    Args:
        app: what they are served.
        is_closing: whether connections end with their next answer.
    """

    def __init__(self, app: App, is_closing: Callable[[], bool]) -> None:
        self._app = app
        self._is_closing = is_closing
        self._connections: dict[_Connection, trio.CancelScope] = {}

    async def serve(self, stream: Stream, first: bytes = b"") -> None:
        """Serve one client, who has sent *first* already, until either side has enough.

        A failing connection is logged and closed, and never reaches another one.
        """
        connection = None
        try:
            connection = _Connection(stream, self._app, self._is_closing)
            if first:
                connection.take(first)
            with trio.CancelScope() as scope:
                self._connections[connection] = scope
                await connection.serve()
        except Exception:
            logger.exception("a connection failed")
        finally:
            if connection is not None:
                self._connections.pop(connection, None)
            stream.close()

    def end_idle(self, seconds: float = 0) -> None:
        """End the connections on which nothing was asked for so long."""
        before = trio.current_time() - seconds
        for connection, scope in self._connections.items():
            if connection.idle_since <= before:
                scope.cancel()

    async def tidy(self) -> None:
        """End forgotten connections, until cancelled. A timer for each would cost each request."""
        while True:
            await trio.sleep(_TIDY_SECONDS)
            self.end_idle(_IDLE_SECONDS)


def _unquote(path: bytes) -> str:
    if b"%" not in path:
        return path.decode("latin-1")
    return unquote_to_bytes(path).decode("utf-8", "replace")


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}


@lru_cache(maxsize=1)
def _date_line(now: int) -> bytes:
    return f"date: {formatdate(now, usegmt=True)}\r\n".encode()
