"""Settles a delivery when its response has left, and releases it otherwise.

It is below REST and MCP, because neither reliably notices that its client has gone. While a request
waits for mail, the handover watches for the disconnect; and it controls the end of the response.
Before a short response is sent, it checks whether the client is still there. Of a long one it keeps
the last byte back until that check. So a client that has the whole response is never taken for gone,
and one that left before it was complete gets its mail again.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import quote

import trio

from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.daemon.http.asgi import (
    CONNECTION_KEY,
    Connection,
    Message,
    Receive,
    Scope,
    Send,
)
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import LeaseOutcome

logger = logging.getLogger(__name__)

# Other servers tell of a disconnect only by a message. It takes so many turns of the event loop: our
# task starts, the reader wakes, the protocol queues the message, we receive it; and some to spare.
_TURNS_TO_NOTICE = 6

# A body up to this size is sent in one piece, after the check. It fits into any socket's buffer, so
# sending does not wait for the client, which could leave meanwhile.
_ONE_PIECE_BYTES = 16 * 1024


# Scope key of the response's `Custody`, for handlers behind a framework: MCP tools and inbox pages.
CUSTODY_KEY = "claude_mailbox.custody"


class LeaseKeeper(Protocol):
    """Settles and releases leases."""

    async def settle(self, tokens: Sequence[str]) -> LeaseOutcome:
        """Mark leased messages delivered."""
        ...

    async def release_abandoned(self, tokens: Sequence[str]) -> None:
        """Put leased messages back in their places, at the latest before the next claim."""
        ...


class Custody:
    """The leases of the messages in one response.

    Attributes:
        lease_seconds: length of the explicit lease that the request asked for, or None. Explicit
            leases go on when the response has left; connection-bound ones are settled.
        holder: if not None, this mailbox and the tokens are put into headers of the response,
            because its body cannot have them.
        has_failed: whether the response is an error, whatever its status.
    """

    __slots__ = ("_client", "has_failed", "holder", "lease_seconds", "tokens")

    def __init__(self, client: "_Client | None" = None) -> None:
        self.lease_seconds: float | None = None
        self.holder: str | None = None
        self.tokens: list[str] = []
        self.has_failed = False
        self._client = client

    async def attend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is called, or the client has left."""
        if self._client is None:
            await waiter.called()
        else:
            await self._client.attend(waiter)

    def take(self, tokens: Sequence[str]) -> None:
        """Become responsible for these leases."""
        self.tokens.extend(tokens)

    def drop(self) -> None:
        """Be responsible for nothing any more, because the leases have ended."""
        self.tokens = []


# Handles a request whose response may carry mail.
Handler = Callable[[Custody, Receive, Send], Awaitable[None]]


class Handover:
    """Runs handlers whose responses may carry mail.

    Args:
        keeper: settles and releases their leases.
    """

    def __init__(self, keeper: LeaseKeeper) -> None:
        self._keeper = keeper
        self._open: set[Custody] = set()
        self._unsettled: list[str] = []

    def __repr__(self) -> str:
        return f"<Handover: {len(self._open)} open, {len(self._unsettled)} to settle>"

    def held(self) -> list[str]:
        """Return the leases of open responses, and those that could not be settled yet."""
        return [token for custody in self._open for token in custody.tokens] + self._unsettled

    async def run(self, handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
        """Run *handler*; settle the leases of its response if it has left, else release them."""
        # The guard has joined the body, so the first message is the whole request.
        request = await receive()
        if request["type"] == "http.disconnect":
            return
        client = _Client(receive, scope.get(CONNECTION_KEY))
        custody = Custody(client)
        self._open.add(custody)
        response = _Response(custody, client, request, send, self._conclude)
        try:
            await handler(custody, response.receive, response.send)
        finally:
            if custody.tokens:
                with trio.CancelScope(shield=True):
                    await self._conclude(custody, arrived=response.has_arrived)
            self._open.discard(custody)
        await response.finish()

    async def _conclude(self, custody: Custody, *, arrived: bool) -> None:
        if arrived and custody.lease_seconds is not None:
            return
        if not arrived:
            await self._keeper.release_abandoned(custody.tokens)
            return
        try:
            await self._keeper.settle(custody.tokens)
        except MailboxError as error:
            # The database cannot be written. Remembered, or the mail would be delivered again.
            logger.warning("could not settle: %s", error)
            self._unsettled.extend(custody.tokens)

    async def settle_late(self) -> None:
        """Settle leases that could not be settled when their response had left."""
        if self._unsettled:
            await self._keeper.settle(tokens := list(self._unsettled))
            self._unsettled = self._unsettled[len(tokens) :]


class _Client:
    """Tells whether the client is still there.

    Args:
        receive: the server's; after the request it returns only the disconnect.
        connection: our own server's connection, which can be asked; None with other servers.
    """

    def __init__(self, receive: Receive, connection: Connection | None) -> None:
        self._receive = receive
        self._connection = connection
        self._has_left = False

    async def leaving(self) -> None:
        """Wait until the client has left."""
        while not self._has_left:
            self._has_left = (await self._receive())["type"] == "http.disconnect"

    async def attend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is called, or the client has left.

        It waits for the client, and the waiter's call cancels that, which needs no second task.
        """
        with trio.CancelScope() as scope, waiter.interrupting(scope.cancel):
            await self.leaving()

    async def is_alive(self) -> bool:
        """Return whether the client is still there, as far as the server knows now."""
        if self._connection is not None:
            self._has_left = self._has_left or not await self._connection.is_alive()
            return not self._has_left
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.leaving)
            for _ in range(_TURNS_TO_NOTICE):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        return not self._has_left

    def is_broken(self) -> bool:
        """Return whether a write failed; False where the server does not tell."""
        return self._connection is not None and self._connection.is_broken()


class _Conclude(Protocol):
    async def __call__(self, custody: Custody, *, arrived: bool) -> None: ...


class _Response:
    """Passes messages on, and keeps the end of the response back until the leases are concluded."""

    def __init__(
        self,
        custody: Custody,
        client: _Client,
        request: Message,
        send: Send,
        conclude: _Conclude,
    ) -> None:
        self._custody = custody
        self._client = client
        self._request: Message | None = request
        self._send = send
        self._conclude = conclude
        self._kept = b""
        self._has_ended = False
        self._has_left = False
        self._is_success = False

    @property
    def has_arrived(self) -> bool:
        """Whether the response has left, and is not an error."""
        return self._has_left and self._is_success and not self._custody.has_failed

    async def receive(self) -> Message:
        """The handler's ``receive``: returns the whole request, then only the disconnect."""
        if self._request is not None:
            message, self._request = self._request, None
            return message
        await self._client.leaving()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The handler's ``send``."""
        if message["type"] == "http.response.start":
            self._is_success = message["status"] < 300
            if self._custody.tokens and self._custody.holder is not None:
                message["headers"] = [
                    *message["headers"],
                    (b"x-mailbox-leases", ",".join(self._custody.tokens).encode()),
                    (b"x-mailbox-holder", quote(self._custody.holder, safe="").encode()),
                ]
            await self._send(message)
            return
        if not self._custody.tokens:
            self._has_left = self._has_ended = not message.get("more_body", False)
            await self._send(message)
            return
        # Some frameworks send the whole body with ``more_body``, and then an empty end. So bytes
        # are kept back whatever the message says.
        body = self._kept + message.get("body", b"")
        keep = len(body) if len(body) <= _ONE_PIECE_BYTES else 1
        self._kept = body[-keep:]
        if len(body) > keep:
            first = memoryview(body)[:-keep]
            await self._send({**message, "body": first, "more_body": True})
        if message.get("more_body", False):
            return
        if not await self._client.is_alive() or self._client.is_broken():
            return
        # From here on the client may have everything, so this must not be cancelled half way.
        with trio.CancelScope(shield=True):
            self._has_left = True
            await self._send({**message, "body": self._kept, "more_body": True})
            # Our own server tells if this piece could not be written.
            self._has_left = not self._client.is_broken()
            if self._has_left:
                await self._conclude(self._custody, arrived=self.has_arrived)
                self._custody.drop()

    async def finish(self) -> None:
        """End the response, so that the connection can handle its next request."""
        if self._has_left and not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
