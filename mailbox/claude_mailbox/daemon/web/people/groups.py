"""The REST routes of groups, and of descriptions of mailboxes."""

from collections.abc import Iterable
from typing import Annotated, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import group_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.model.groups import DESCRIPTION_LIMIT, check_description, check_group


class GroupBody(TypedDict):
    """A group."""

    group: shapes.GroupName


class DescribeBody(TypedDict):
    """The description of a mailbox; an empty text removes it."""

    text: Annotated[shapes.Line, Keywords(maxLength=DESCRIPTION_LIMIT)]


_GROUPS = Description("List the groups and their members", list[shapes.Group], identity="optional")
_JOIN, _LEAVE = (
    Description(what, shapes.Group, identity="required", body=GroupBody)
    for what in ("Join a group", "Leave a group")
)
_DESCRIBE = Description(
    "Say what your mailbox is for",
    shapes.MailboxDescription,
    identity="required",
    body=DescribeBody,
)


class GroupRoutes:
    """The routes of groups.

    Args:
        broker: has the groups.
        callers: identifies the caller.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("GET", "/v1/groups", self._list, _GROUPS),
            Route("POST", "/v1/groups/join", self._join, _JOIN),
            Route("POST", "/v1/groups/leave", self._leave, _LEAVE),
            Route("POST", "/v1/describe", self._describe, _DESCRIBE),
        )

    async def _list(self, request: Request) -> Response:
        await self._callers.identify(request.scope)
        return Response([group_json(group) for group in await self._broker.groups.groups()])

    async def _join(self, request: Request) -> Response:
        mailbox = (await self._callers.identify(request.scope)).required()
        name = check_group(request.json().get("group"))
        return Response(group_json(await self._broker.groups.join(mailbox, name)))

    async def _leave(self, request: Request) -> Response:
        mailbox = (await self._callers.identify(request.scope)).required()
        name = check_group(request.json().get("group"))
        return Response(group_json(await self._broker.groups.leave(mailbox, name)))

    async def _describe(self, request: Request) -> Response:
        mailbox = (await self._callers.identify(request.scope)).required()
        text = check_description(request.json().get("text"))
        await self._broker.mailboxes.describe(mailbox, text)
        return Response({"name": mailbox, "description": text})
