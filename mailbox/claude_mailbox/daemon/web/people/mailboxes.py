"""The REST routes of mailboxes, and ``/health``."""

from collections.abc import Callable, Iterable
from typing import NotRequired, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.network.grant import check_allowed
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import listing_json, rename_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import NotFound, TargetExists


class ListQuery(TypedDict):
    """With ``true``, also list mailboxes that have been idle for long."""

    all: NotRequired[bool]


class RenameBody(TypedDict):
    """The new name."""

    to: shapes.NewName | shapes.Digits


class DeleteQuery(TypedDict):
    """The mailbox to delete."""

    name: shapes.GivenName


_HEALTH = Description("How the daemon is", shapes.Health)
_LIST = Description(
    "List the mailboxes", list[shapes.Listing], identity="optional", query=ListQuery
)
_RENAME = Description(
    "Rename a mailbox",
    shapes.Rename,
    identity="required",
    body=RenameBody,
    errors=(NotFound, TargetExists),
)
_DELETE = Description(
    "Delete a mailbox, if nothing pends there",
    shapes.Deleted,
    identity="required",
    is_existing=True,
    query=DeleteQuery,
)


class MailboxRoutes:
    """The routes of mailboxes.

    Args:
        broker: lists, renames and deletes them.
        callers: identifies the caller.
        health: returns the answer to ``/health``.
    """

    def __init__(
        self, broker: Broker, callers: Callers, health: Callable[[], shapes.Health]
    ) -> None:
        self._broker = broker
        self._callers = callers
        self._health = health

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("GET", "/health", self._tell_health, _HEALTH),
            Route("GET", "/v1/list", self._list, _LIST),
            Route("POST", "/v1/rename", self._rename, _RENAME),
            Route("DELETE", "/v1/mailbox", self._delete, _DELETE),
        )

    async def _tell_health(self, request: Request) -> Response:
        return Response(self._health())

    async def _list(self, request: Request) -> Response:
        caller = await self._callers.identify(request.scope)
        rows = await self._broker.listings.all(caller.name, show_hidden=request.flag("all"))
        return Response([listing_json(listing, watching=watching) for listing, watching in rows])

    async def _rename(self, request: Request) -> Response:
        current = (await self._callers.identify(request.scope, register=False)).required()
        to = check_name(given.text(request.json(), "to"), "to")
        check_allowed(request.scope, to)
        return Response(rename_json(await self._broker.mailboxes.rename(current, to)))

    async def _delete(self, request: Request) -> Response:
        name = request.parameter("name")
        _, own = await self._callers.own(request.scope, name, register=False)
        return Response({"deleted": await self._broker.mailboxes.delete(own)})
