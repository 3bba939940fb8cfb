"""One client's connection: one task, which handles requests one after the other.

The application runs in that task, too. The socket is read only when the application calls
``receive``, for the request's body or to learn of a disconnect. General ASGI servers use several tasks
and channels for each request, which costs more than the daemon's work for a durable send.
"""

import math
from collections.abc import Callable, Sequence

import trio

from claude_mailbox.daemon.http.asgi import App, send_error
from claude_mailbox.daemon.http.budget import FREE_BYTES, Budget
from claude_mailbox.daemon.http.exchange import Exchange
from claude_mailbox.daemon.http.parser import Parser, Request
from claude_mailbox.daemon.http.stream import ClientGone, Stream
from claude_mailbox.errors import MailboxError
from claude_mailbox.refusals import Overloaded

_READ_BYTES = 64 * 1024
# After a request that is not valid HTTP, read and drop at most so many bytes, for so long, and until
# the client pauses for so long.
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_SECONDS = 2
_DRAIN_PAUSE_SECONDS = 0.25
# How often a client that is not read from, because it sent too many requests ahead, is checked.
_HANG_UP_SECONDS = 0.2
# How often ``is_alive`` reads to see whether the input ends.
_PEEKS = 3


class Connection:
    """Serves one client.

    Args:
        stream: the bytes to and from the client.
        app: the application.
        is_closing: whether the connection ends with its next response.
        budget: bounds the memory for all clients.
    """

    def __init__(
        self, stream: Stream, app: App, is_closing: Callable[[], bool], budget: Budget
    ) -> None:
        self._stream = stream
        self._app = app
        self._is_closing = is_closing
        self._budget = budget
        self._kept = 0
        self._writing = 0
        self._parser = Parser()
        self._failure: MailboxError | None = None
        self._broken = trio.Event()
        self.server = stream.address
        self.idle_since = trio.current_time()
        """When the last request was answered, by trio's clock; infinite while one is handled."""

    @property
    def process(self) -> int | None:
        """Id of the process at the other end of a Unix socket, where the system tells it."""
        return self._stream.peer.process

    async def serve(self) -> None:
        """Answer requests until either side closes the connection."""
        try:
            while not self._is_closing() and await self._serve_one():
                if self._parser.requests:
                    # A client that pipelines must not keep others waiting.
                    await trio.lowlevel.checkpoint()
        finally:
            self._budget.resize(self._kept, 0)

    async def _serve_one(self) -> bool:
        """Answer the next request; return whether there can be another one."""
        self.idle_since = trio.current_time()
        while not self._parser.requests and self._failure is None:
            if not await self.read():
                return False
        self.idle_since = math.inf
        if not self._parser.requests:
            await self._refuse(Exchange(Request(), self))
            return False
        # It stays in the queue until it is answered, so that the limits count its body, of which
        # more may come.
        exchange = Exchange(self._parser.requests[0], self)
        try:
            await self._app(exchange.scope(), exchange.receive, exchange.send)
        except Overloaded as error:
            if exchange.has_begun:
                return False
            await send_error(exchange.send, error)
        if self._failure is not None and not exchange.has_begun:
            await self._refuse(exchange)
        if not exchange.is_reusable:
            return False
        self._parser.requests.popleft()
        self._keep(self._parser.size)
        return True

    async def turn_away(self, error: MailboxError) -> None:
        """Answer with an error without reading a request."""
        await send_error(Exchange(Request(), self).send, error, close=True)

    async def _refuse(self, exchange: Exchange) -> None:
        """Answer a request that is not valid HTTP."""
        assert self._failure is not None  # noqa: S101  # for mypy
        self._parser.requests.clear()
        self._keep(0)
        await send_error(exchange.send, self._failure, close=True)
        await self._drain()

    def _keep(self, size: int) -> None:
        """Set how many bytes are kept in memory for this client.

        Raises:
            Overloaded: if the budget has no room for them.
        """
        if size > FREE_BYTES or self._kept > FREE_BYTES:
            self._budget.resize(self._kept, size)
        self._kept = size

    @property
    def has_failed(self) -> bool:
        """Whether the client has sent something that is not HTTP."""
        return self._failure is not None

    async def read(self) -> bool:
        """Read and parse more; return whether the client is still there."""
        if self._parser.is_far_ahead:
            # Nothing is read before the next response, so poll for the end of the connection.
            while not (self._stream.has_hung_up() or self._broken.is_set()):
                with trio.move_on_after(_HANG_UP_SECONDS):
                    await self._broken.wait()
            return False
        data = await self._stream.receive(_READ_BYTES)
        if not data:
            return False
        if self._failure is None:
            try:
                self._parser.feed(data)
                self._keep(self._parser.size + self._writing)
            except MailboxError as error:
                self._failure = error
        return True

    def has_whole_request(self) -> bool:
        """Return whether the request, with all of its body, has arrived."""
        return self._parser.requests[0].is_complete

    async def is_alive(self) -> bool:
        """Return whether the client is still there, as far as has arrived by now."""
        if self._stream.is_silent():
            return True
        for _ in range(_PEEKS):
            if self._parser.is_far_ahead or not self._stream.has_input():
                break
            if not await self.read():
                return False
        return not self._stream.has_hung_up()

    def is_broken(self) -> bool:
        """Return whether something could not be written, so that the client has not got it."""
        return self._broken.is_set()

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write, and do nothing if the client has gone: ``is_broken`` and ``receive`` tell that.

        Raises:
            Overloaded: if the budget has no room for *pieces*; then nothing was written.
        """
        size = sum(map(len, pieces))
        if size <= FREE_BYTES:
            await self._write(b"".join(pieces))
            return
        self._keep(self._kept + size)
        self._writing += size
        try:
            # One by one, because joining them would copy them.
            for piece in pieces:
                await self._write(piece)
        finally:
            self._writing -= size
            self._keep(self._kept - size)

    async def _write(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except ClientGone:
            self._broken.set()

    def hang_up(self) -> None:
        """End the connection at once; its task sees that as a disconnect."""
        self._broken.set()
        self._stream.abort()

    async def _drain(self) -> None:
        """Read what the client still sends.

        Closing a socket with unread input resets the connection, and the client would miss the
        response.
        """
        left = _DRAIN_BYTES
        with trio.move_on_after(_DRAIN_SECONDS):
            while left > 0:
                data = b""
                with trio.move_on_after(_DRAIN_PAUSE_SECONDS):
                    data = await self._stream.receive(_READ_BYTES)
                if not data:
                    return
                left -= len(data)
