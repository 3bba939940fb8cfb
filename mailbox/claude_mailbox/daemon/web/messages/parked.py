"""The REST routes of parked messages."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from claude_mailbox.daemon.delivery.conversation.parking import Parking
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import status_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.web.fields import numbers
from claude_mailbox.model.names import check_name


class ParkedQuery(TypedDict):
    """Only messages that this mailbox sent or is to get."""

    name: NotRequired[shapes.NameOrNothing]


class ParkedBody(TypedDict):
    """Messages, by their numbers."""

    ids: list[shapes.Id]


_LIST = Description(
    "List the messages that are parked", list[shapes.MessageStatus], query=ParkedQuery
)
_RETRY, _DROP = (
    Description(what, shapes.Parked, body=ParkedBody)
    for what in ("Make parked messages wait again", "Delete parked messages")
)


class ParkedRoutes:
    """The routes.

    Args:
        parking: lists, retries and drops messages.
    """

    def __init__(self, parking: Parking) -> None:
        self._parking = parking

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("GET", "/v1/parked", self._list, _LIST, is_local=True),
            Route("POST", "/v1/parked/retry", self._retry, _RETRY, is_local=True),
            Route("POST", "/v1/parked/drop", self._drop, _DROP, is_local=True),
        )

    async def _list(self, request: Request) -> Response:
        name = request.parameter("name")
        found = await self._parking.list(None if name is None else check_name(name))
        return Response([status_json(status) for status in found])

    async def _retry(self, request: Request) -> Response:
        return Response({"done": list(await self._parking.retry(numbers(request.json(), "ids")))})

    async def _drop(self, request: Request) -> Response:
        return Response({"done": list(await self._parking.drop(numbers(request.json(), "ids")))})
