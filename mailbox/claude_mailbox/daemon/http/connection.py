"""One client's connection: requests one after the other, in one task.

The application runs in that task, too, and the socket is read only when the application asks for
more, be it for the request's body or to learn of the disconnect. General ASGI servers spend several
tasks and channels on each request, which costs more than what the daemon does for a durable send.
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
# How much of what is not HTTP is read and thrown away, how long for, and how long it may pause.
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_SECONDS = 2
_DRAIN_PAUSE_SECONDS = 0.25
# How often a client that has sent far ahead is checked for having left.
_HANG_UP_SECONDS = 0.2
# How many pieces of input are read at most to see whether the end comes after them.
_PEEKS = 3


class Connection:
    """Serves one client.

    Args:
        stream: where the client is.
        app: what it is served.
        is_closing: whether the connection ends with its next response.
        budget: bounds what is kept for all clients.
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
        """When its last request was answered, in trio's seconds; infinite while it has one."""

    @property
    def process(self) -> int | None:
        """Id of the process at the other end of a Unix socket, where the system tells it."""
        return self._stream.peer.process

    async def serve(self) -> None:
        """Answer requests until either side has enough."""
        try:
            while not self._is_closing() and await self._serve_one():
                if self._parser.requests:
                    # A client that sends many requests at once must not keep the others waiting.
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
        # It stays at the head of the queue until it is answered, so that its body, which may
        # still be coming, is bounded by the same limits.
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
        """Answer with an error, whatever the client asks."""
        await send_error(Exchange(Request(), self).send, error, close=True)

    async def _refuse(self, exchange: Exchange) -> None:
        """Tell the client what was wrong with what it sent."""
        assert self._failure is not None  # noqa: S101  # for mypy
        self._parser.requests.clear()
        self._keep(0)
        await send_error(exchange.send, self._failure, close=True)
        await self._drain()

    def _keep(self, size: int) -> None:
        """Count what is kept for this client.

        Raises:
            Overloaded: if it is more than before, and too much.
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
            # Nothing is read before the next response, so no input can tell of the end.
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
        """Write, if the client is still there: ``receive`` tells when it is not.

        Raises:
            Overloaded: if they cannot be kept until the client takes them; nothing was written.
        """
        size = sum(map(len, pieces))
        if size <= FREE_BYTES:
            await self._write(b"".join(pieces))
            return
        self._keep(self._kept + size)
        self._writing += size
        try:
            # One by one: together they would be there twice.
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
        """End the connection at once; whatever it waits for, it sees the client leave."""
        self._broken.set()
        self._stream.abort()

    async def _drain(self) -> None:
        """Read what the client still sends: closing with input unread would reset the connection,
        and the client would miss the response."""
        left = _DRAIN_BYTES
        with trio.move_on_after(_DRAIN_SECONDS):
            while left > 0:
                data = b""
                with trio.move_on_after(_DRAIN_PAUSE_SECONDS):
                    data = await self._stream.receive(_READ_BYTES)
                if not data:
                    return
                left -= len(data)
