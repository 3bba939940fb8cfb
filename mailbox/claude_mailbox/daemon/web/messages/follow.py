"""``GET /v1/follow``: a stream of messages, one JSON object on each line (NDJSON).

Each line is a message with its lease; the reader acks in batches with ``POST /v1/ack``. Two things
limit how many messages one reader has: the next batch is claimed only when the socket has taken the
one before, and none is claimed while a window of messages is neither acked nor released. Without
``lease=`` the leases last as long as the stream.

A reader that hangs keeps its connection, and the socket's buffer still takes messages. So a stream
that has leases, and for the length of a lease acks, releases or extends none of them, is ended, and
its leases are released.
"""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NotRequired, TypedDict

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.render import compact, delivery_json
from claude_mailbox.daemon.edge.routing import MailRoute
from claude_mailbox.daemon.http.asgi import (
    App,
    Receive,
    Scope,
    Send,
    cancel_on_disconnect,
    error_body,
    send_error,
)
from claude_mailbox.daemon.web.messages.mail import Seconds, lease_asked_for
from claude_mailbox.errors import MailboxError, QuotaFull, Renamed, ShuttingDown

BATCH = 256
WINDOW = 1024
HEARTBEAT_SECONDS = 15.0
# How long a reader without ``lease=`` may have leases and ack none of them.
ACK_SECONDS = 60.0

NDJSON = "application/x-ndjson"


class FollowQuery(TypedDict):
    """The mailbox to follow, and how long its leases last."""

    name: shapes.GivenName
    lease: NotRequired[Seconds]


_FOLLOW = Description(
    "Stream messages with their leases, one JSON object a line",
    shapes.Delivery,
    identity="required",
    query=FollowQuery,
    errors=(Renamed, QuotaFull),
    media_type=NDJSON,
)


class Reader:
    """The custodian of one stream, which knows its open leases."""

    def __init__(self, lease_seconds: float | None) -> None:
        self.lease_seconds = lease_seconds
        self._patience = lease_seconds or ACK_SECONDS
        self._open: dict[str, float] = {}  # lease -> its end
        self._heard_at = 0.0
        self._is_stalled = False
        self._changed = trio.Event()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Reader: {len(self._open)} leases open>"

    def take(self, tokens: Sequence[str]) -> None:
        """Become responsible for these leases."""
        now = trio.current_time()
        if not self._open:
            self._heard_at = now
        self._open.update(dict.fromkeys(tokens, now + self._patience))

    async def attend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is called. If the client leaves, the whole stream is cancelled."""
        await waiter.called()

    def ended(self, tokens: Iterable[str]) -> None:
        """See `Follower`."""
        for token in tokens:
            if self._open.pop(token, None) is not None:
                self._heard_at = trio.current_time()
        self._changed.set()

    def extended(self, tokens: Iterable[str], seconds: float) -> None:
        """See `Follower`."""
        now = trio.current_time()
        for token in tokens:
            if self._open.pop(token, None) is not None:
                self._heard_at = now
                self._open[token] = now + seconds

    async def stalled(self) -> None:
        """Wait until the reader has leases, and has not acked, released or extended any for too long."""
        while (due := self._due()) > trio.current_time():
            # A lease that is taken meanwhile cannot be due before that.
            with trio.move_on_at(min(due, trio.current_time() + self._patience)):
                await trio.sleep_forever()

    def _due(self) -> float:
        """Return when the reader will count as stalled."""
        if self._is_stalled:
            return 0.0
        return max(self._heard_at + self._patience, min(self._open.values(), default=math.inf))

    def tokens(self) -> list[str]:
        """Return the open leases."""
        return list(self._open)

    async def room(self, seconds: float) -> int:
        """Wait for up to *seconds* for room in the window; return for how many messages it has room.

        Raises:
            ShuttingDown: if the daemon stops.
        """
        with trio.move_on_after(seconds):
            while not self._room() and not self._is_closed:
                self._changed = trio.Event()
                is_bound = self.lease_seconds is None
                with trio.move_on_at(math.inf if is_bound else min(self._open.values())):
                    await self._changed.wait()
        if self._is_closed:
            raise ShuttingDown("The daemon is shutting down: connect again in a moment.")
        return self._room()

    def _room(self) -> int:
        now = trio.current_time()
        if self.lease_seconds is not None:
            self._is_stalled = self._due() <= now
            self._open = {token: end for token, end in self._open.items() if end > now}
        return max(0, WINDOW - len(self._open))

    def close(self) -> None:
        """End the stream, even if its window is full."""
        self._is_closed = True
        self._changed.set()


class Follow:
    """The route.

    Args:
        broker: delivers the mail.
        callers: identifies the caller.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers
        self._readers: set[Reader] = set()

    def routes(self) -> Iterable[MailRoute]:
        """Return the route."""
        return (MailRoute("GET", "/v1/follow", self._follow, _FOLLOW),)

    def held(self) -> list[str]:
        """Return the leases of all streams."""
        return [token for reader in self._readers for token in reader.tokens()]

    def close(self) -> None:
        """End the streams that wait for room; those that wait for mail end with the waiter lines."""
        for reader in self._readers:
            reader.close()

    async def _follow(self, request: Request, custody: Custody) -> App:
        name, _ = await self._callers.own(request.scope, request.parameter("name"))
        lease_asked_for(request, custody)
        # The response goes on delivering, so the stream is the custodian of its leases.
        return partial(self._respond, name, Reader(custody.lease_seconds))

    async def _respond(
        self, name: str, reader: Reader, scope: Scope, receive: Receive, send: Send
    ) -> None:
        last: bytes | None = None
        self._readers.add(reader)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_on_disconnect, receive, nursery.cancel_scope)
                nursery.start_soon(self._cancel_when_stalled, reader, nursery.cancel_scope)
                with self._broker.leases.following(reader):
                    last = await self._stream(name, reader, send)
                nursery.cancel_scope.cancel()
        finally:
            self._readers.discard(reader)
            with trio.CancelScope(shield=True):
                await self._broker.leases.release_abandoned(reader.tokens())
        if last is not None:
            # Outside the nursery: some servers report the disconnect from within the last send.
            await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _stream(self, name: str, reader: Reader, send: Send) -> bytes | None:
        """Send all lines but the last; return that, or None if the response is complete."""
        try:
            # Errors of the mailbox or the waiter line are sent before the 200.
            lines = await self._next_lines(name, reader, seconds=0)
        except MailboxError as error:
            await send_error(send, error)
            return None
        headers = [(b"content-type", NDJSON.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while True:
                # An empty line as a heartbeat.
                body = {"type": "http.response.body", "body": lines or b"\n", "more_body": True}
                await send(body)
                lines = await self._next_lines(name, reader, seconds=HEARTBEAT_SECONDS)
        except Renamed as renamed:
            return _line({"renamed": renamed.to})
        except ShuttingDown:
            return b""
        except MailboxError as error:
            return _line(error_body(error))

    async def _next_lines(self, name: str, reader: Reader, *, seconds: float) -> bytes:
        """Return the next messages, or nothing if none came in time or the window is full."""
        limit = min(BATCH, await reader.room(seconds))
        if not limit:
            return b""
        claim = await self._broker.watch(name, seconds, reader, limit=limit, by="follow")
        if claim is None:
            return b""
        user = self._broker.user
        return b"".join(
            _line(delivery_json(each, with_lease=True, user=user)) for each in claim.deliveries
        )

    async def _cancel_when_stalled(self, reader: Reader, scope: trio.CancelScope) -> None:
        await reader.stalled()
        scope.cancel()


def _line(content: object) -> bytes:
    return compact(content) + b"\n"
