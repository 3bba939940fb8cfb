"""``GET /v1/session/rings``: tells another machine when to ring a session there.

The stream has a line ``{"ring":true}`` whenever the session is to be woken, and an empty line as a
heartbeat. It delivers no mail. While it is open, the session counts as one that mail wakes.
"""

from collections.abc import Iterable
from functools import partial
from typing import TypedDict

import trio

from claude_mailbox.daemon.delivery.bells.doorbell import RingListener
from claude_mailbox.daemon.delivery.sessions.registry import Sessions
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.callers import Callers, UnknownSession
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.routing import MailRoute
from claude_mailbox.daemon.http.asgi import App, Receive, Scope, Send, cancel_on_disconnect
from claude_mailbox.daemon.web.fields import Text, text

HEARTBEAT_SECONDS = 15.0
_RING = b'{"ring":true}\n'


class RingsQuery(TypedDict):
    """The session."""

    id: Text


_RINGS = Description(
    "Follow the rings of a session on another machine",
    shapes.Ring,
    query=RingsQuery,
    errors=(UnknownSession,),
    media_type="application/x-ndjson",
)


class RingRoutes:
    """The route.

    Args:
        sessions: rings them.
        callers: checks who may speak for a session.
    """

    def __init__(self, sessions: Sessions, callers: Callers) -> None:
        self._sessions = sessions
        self._callers = callers

    def routes(self) -> Iterable[MailRoute]:
        """Return the route."""
        return (MailRoute("GET", "/v1/session/rings", self._rings, _RINGS),)

    async def _rings(self, request: Request, custody: Custody) -> App:
        session_id = text({"id": request.parameter("id")}, "id")
        await self._callers.check_session(request.scope, session_id)
        if await self._sessions.mailbox_of(session_id) is None:
            raise UnknownSession(f"Session '{session_id}' has no mailbox: announce it first.")
        return partial(self._respond, session_id)

    async def _respond(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with self._sessions.listening(session_id) as listener, trio.open_nursery() as nursery:
            nursery.start_soon(cancel_on_disconnect, receive, nursery.cancel_scope)
            await _stream(listener, send)
            nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stream(listener: RingListener, send: Send) -> None:
    line = b"\n"
    while not listener.is_closed:
        await send({"type": "http.response.body", "body": line, "more_body": True})
        line = _RING if await listener.wait(HEARTBEAT_SECONDS) else b"\n"
