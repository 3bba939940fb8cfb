"""The REST routes of history, and of what became of a message."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal, NotRequired, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.leasing.receipts import DELIVERED, REPLIED
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.render import history_json, status_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import MailRoute, Route
from claude_mailbox.daemon.web.messages.mail import WATCH_DEFAULT, WATCH_LIMIT, Timeout
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.groups import check_group
from claude_mailbox.model.history import (
    HISTORY_DEFAULT,
    HISTORY_LIMIT,
    WORDS_LIMIT,
    HistoryQuery,
    check_words,
)
from claude_mailbox.model.mail import CHECK_BYTES, check_message
from claude_mailbox.model.names import check_name
from claude_mailbox.model.times import parse_time
from claude_mailbox.refusals import NotFound


class MessageQuery(TypedDict):
    """Which message, and what to wait for."""

    id: shapes.Id
    wait: NotRequired[Literal["delivered", "replied"]]
    timeout: NotRequired[Timeout]


HistoryParameters = TypedDict(
    "HistoryParameters",
    {
        "name": shapes.GivenName,
        "q": NotRequired[Annotated[str, Keywords(maxLength=WORDS_LIMIT)]],
        "with": NotRequired[shapes.NameOrNothing],
        "thread": NotRequired[shapes.Id],
        "group": NotRequired[shapes.GroupOrNothing],
        "since": NotRequired[shapes.Time],
        "before": NotRequired[shapes.Id],
        "limit": NotRequired[Annotated[float, Keywords(minimum=1, default=HISTORY_DEFAULT)]],
        "maxChars": NotRequired[Annotated[float, Keywords(minimum=0, default=CHECK_BYTES)]],
    },
)

_MESSAGE = Description(
    "What became of a message",
    shapes.MessageStatus,
    identity="required",
    query=MessageQuery,
    errors=(NotFound,),
)
_HISTORY = Description(
    "What a mailbox sent and got, newest first",
    list[shapes.HistoryEntry],
    identity="required",
    query=HistoryParameters,
    headers={"X-Mailbox-More": "Whether there may be older ones that were asked for: true, false"},
)


class HistoryRoutes:
    """The routes of history.

    Args:
        broker: has the history.
        callers: identifies the caller.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers

    def routes(self) -> Iterable[Route | MailRoute]:
        """Return the routes."""
        return (
            MailRoute("GET", "/v1/message", self._message, _MESSAGE),
            Route("GET", "/v1/history", self._history, _HISTORY),
        )

    async def _message(self, request: Request, custody: Custody) -> Response:
        mailbox = (await self._callers.identify(request.scope)).required()
        number = check_message(request.parameter("id"), "id")
        until = request.parameter("wait")
        seconds = request.number("timeout", WATCH_DEFAULT, -math.inf, math.inf)
        if until is None:
            status = await self._broker.receipts.status(mailbox, number)
        elif until in (DELIVERED, REPLIED):
            seconds = min(max(seconds, 0.0), WATCH_LIMIT)
            status = await self._broker.receipts.wait(mailbox, number, until, seconds, custody)
        else:
            raise BadRequest(f"'wait' must be {DELIVERED} or {REPLIED}, not '{until[:40]}'.")
        return Response(status_json(status))

    async def _history(self, request: Request) -> Response:
        _, mailbox = await self._callers.own(request.scope, request.parameter("name"))
        page = await self._broker.history.page(mailbox, _query(request))
        return Response(
            [history_json(entry) for entry in page.entries],
            headers=[(b"x-mailbox-more", b"true" if page.has_more else b"false")],
        )


def _query(request: Request) -> HistoryQuery:
    peer, since = request.parameter("with"), request.parameter("since")
    thread, before = request.parameter("thread"), request.parameter("before")
    group = request.parameter("group")
    limit = request.number("limit", HISTORY_DEFAULT, 1, math.inf)
    characters = request.number("maxChars", CHECK_BYTES, 0, math.inf)
    return HistoryQuery(
        words=check_words(request.parameter("q"), "q"),
        peer=None if peer is None else check_name(peer, "with"),
        thread=None if thread is None else check_message(thread, "thread"),
        group=None if group is None else check_group(group, "group"),
        since=None if since is None else parse_time(since, "since"),
        before=None if before is None else check_message(before, "before"),
        limit=int(min(limit, HISTORY_LIMIT)),
        max_characters=int(min(characters, CHECK_BYTES)),
    )
