"""``GET /inbox/events``: server-sent events, which keep open pages up to date.

Each new message is an event, with its number as the event's id. So a browser that connects again,
after a restart of the daemon or a sleep, sends the last id and gets what it missed. Everything else,
such as a delivery, is an event ``change`` without details.
"""

from collections.abc import Iterable
from functools import partial

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.render import compact
from claude_mailbox.daemon.edge.routing import MailRoute
from claude_mailbox.daemon.http.asgi import (
    App,
    Receive,
    Scope,
    Send,
    cancel_on_disconnect,
    headers_named,
)
from claude_mailbox.daemon.web.inbox.access import InboxAccess
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.history import HistoryEntry
from claude_mailbox.refusals import Forbidden

HEARTBEAT_SECONDS = 15.0
# Changes within this time are sent together.
TOGETHER_SECONDS = 0.2
# Most missed messages that are sent; a page loads everything again anyway.
MISSED_LIMIT = 100
EXCERPT = 120
# A parameter in place of the header `Last-Event-ID`, which scripts cannot set.
LAST_ID = "after"


class EventStream:
    """The route.

    Args:
        broker: has the messages, and counts changes.
        access: checks the cookie.
    """

    def __init__(self, broker: Broker, access: InboxAccess) -> None:
        self._broker = broker
        self._access = access
        self._streams: set[trio.CancelScope] = set()
        self._is_closed = False

    def routes(self) -> Iterable[MailRoute]:
        """Return the route."""
        return (MailRoute("GET", "/inbox/events", self._follow, None),)

    def close(self) -> None:
        """End all streams; browsers connect again later."""
        self._is_closed = True
        for scope in self._streams:
            scope.cancel()

    async def _follow(self, request: Request, custody: Custody) -> App:
        if self._access.cookie_of(request.scope) is None:
            raise Forbidden("Open the inbox with 'claude-mailbox inbox'.")
        last = [*headers_named(request.scope, b"last-event-id"), b""][0].decode("latin-1")
        return partial(self._respond, last or request.parameter(LAST_ID) or "")

    async def _respond(self, last: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with trio.open_nursery() as nursery:
            self._streams.add(nursery.cancel_scope)
            if self._is_closed:
                nursery.cancel_scope.cancel()
            nursery.start_soon(cancel_on_disconnect, receive, nursery.cancel_scope)
            try:
                await self._tell(int(last) if last.isascii() and last.isdigit() else None, send)
            except MailboxError:
                # The database cannot be read now; the browser connects again.
                nursery.cancel_scope.cancel()
            finally:
                self._streams.discard(nursery.cancel_scope)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, last: int | None, send: Send) -> None:
        if last is None:
            newest = await self._broker.history.recent(limit=1, excerpt=0)
            last = newest.entries[0].status.id if newest.entries else 0
            # With an id, so that a browser can send it even if no message came.
            await self._send(send, f"id: {last}\nevent: hello\ndata: {{}}\n\n")
        told = 0
        while True:
            count = self._broker.changes.count
            if count > told:
                told = count
                missed = await self._broker.history.recent(
                    after=last, limit=MISSED_LIMIT, excerpt=EXCERPT
                )
                entries = missed.entries[::-1]
                lines = "".join(map(_event, entries))
                last = entries[-1].status.id if entries else last
                await self._send(send, lines + "event: change\ndata: {}\n\n")
                await trio.sleep(TOGETHER_SECONDS)
            with trio.move_on_after(HEARTBEAT_SECONDS) as waiting:
                await self._broker.changes.wait(told)
            if waiting.cancelled_caught:
                await self._send(send, ":\n\n")

    async def _send(self, send: Send, text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _event(entry: HistoryEntry) -> str:
    status = entry.status
    content = {"id": status.id, "from": status.sender, "to": status.recipient, "text": entry.body}
    return f"id: {status.id}\nevent: message\ndata: {compact(content).decode()}\n\n"
