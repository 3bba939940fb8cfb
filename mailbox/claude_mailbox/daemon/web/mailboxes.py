"""The REST routes of mailboxes, and the daemon's own health."""

from collections.abc import Callable, Iterable, Mapping

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.callers import Callers
from claude_mailbox.daemon.edge.render import listing_json, rename_json
from claude_mailbox.daemon.edge.request import Request
from claude_mailbox.daemon.edge.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.model.names import check_name


class MailboxRoutes:
    """The routes of mailboxes.

    Args:
        broker: does what they say.
        callers: finds out who calls.
        health: returns what ``/health`` tells.
    """

    def __init__(
        self, broker: Broker, callers: Callers, health: Callable[[], Mapping[str, object]]
    ) -> None:
        self._broker = broker
        self._callers = callers
        self._health = health

    def routes(self) -> Iterable[Route]:
        """Return them."""
        return (
            Route("GET", "/health", self._tell_health),
            Route("GET", "/v1/list", self._list),
            Route("POST", "/v1/rename", self._rename),
            Route("DELETE", "/v1/mailbox", self._delete),
        )

    async def _tell_health(self, request: Request) -> Response:
        return Response(self._health())

    async def _list(self, request: Request) -> Response:
        caller = await self._callers.identify(request.scope)
        rows = await self._broker.list_mailboxes(
            caller.name, show_all=request.parameter("all") in {"true", "1"}
        )
        return Response([listing_json(listing, watching=watching) for listing, watching in rows])

    async def _rename(self, request: Request) -> Response:
        current = (await self._callers.identify(request.scope)).required()
        to = check_name(request.json().get("to"), "to")
        return Response(rename_json(await self._broker.rename(current, to)))

    async def _delete(self, request: Request) -> Response:
        name = request.parameter("name")
        _, own = await self._callers.own(request.scope, name, register=False)
        return Response({"deleted": await self._broker.delete(own)})
