"""The REST routes of held messages."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import held_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.http.asgi import is_local_socket
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import Forbidden


class ReleaseBody(TypedDict):
    """Release what this mailbox sent and is to get; without it, all messages."""

    name: NotRequired[shapes.GivenName | None]


_HELD = Description("List the messages that are held for the user", list[shapes.Held])
_RELEASE = Description("Release held messages", shapes.Released, body=ReleaseBody)


class HeldRoutes:
    """The routes of held messages.

    Args:
        broker: lists and releases them.
        callers: identifies the caller.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("GET", "/v1/held", self._list, _HELD, is_local=True),
            Route("POST", "/v1/held/release", self._release, _RELEASE, is_local=True),
        )

    async def _list(self, request: Request) -> Response:
        return Response([held_json(held) for held in await self._broker.holding.held()])

    async def _release(self, request: Request) -> Response:
        if (await self._callers.identify(request.scope, register=False)).is_bound:
            raise Forbidden("Only a user may release held messages, not a session.")
        if is_local_socket(request.scope):
            await self._callers.check_person(request.scope)
        name = request.json().get("name")
        mailbox = None if name is None else check_name(name)
        return Response({"released": list(await self._broker.holding.release(mailbox))})
