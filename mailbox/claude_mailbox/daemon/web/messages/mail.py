"""The REST routes of mail: send, peek, check, watch, and end or extend leases."""

import math
from collections.abc import Iterable
from typing import Annotated, NotRequired, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input import drafts
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request, in_range
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.render import (
    answered_json,
    backlog_json,
    delivery_json,
    history_json,
    lease_outcome_json,
)
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import MailRoute, Route
from claude_mailbox.daemon.edge.sending import send
from claude_mailbox.daemon.web.fields import Tokens, flag, lease_tokens
from claude_mailbox.errors import BadRequest, QuotaFull, Renamed
from claude_mailbox.model.drafts import URGENCIES, Draft
from claude_mailbox.model.mail import CHECK_LIMIT, KEY_LIMIT, check_body, check_key
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import (
    ConfirmationNeeded,
    EmptyGroup,
    KeyReused,
    MutualAsk,
    NotFound,
    TooLarge,
    TooManyMessages,
    Unanswerable,
    UnknownRecipient,
)

WATCH_DEFAULT = 25.0
WATCH_LIMIT = 300.0
LEASE_RANGE = (1.0, 3600.0)
LEASE_DEFAULT = 60.0


def _within(bounds: tuple[float, float]) -> Keywords:
    return Keywords(minimum=bounds[0], maximum=bounds[1])


Seconds = Annotated[float, Keywords(minimum=LEASE_RANGE[0], maximum=LEASE_RANGE[1])]
Timeout = Annotated[
    float,
    Keywords(
        default=WATCH_DEFAULT,
        description=f"Seconds to wait, at most {WATCH_LIMIT:.0f}; more counts as that",
    ),
]


class SendQuery(TypedDict):
    """How long to wait for the answer to a question, and for how long to lease it."""

    wait: NotRequired[Timeout]
    lease: NotRequired[Seconds]


class SendBody(TypedDict):
    """A message to send; repeated with the same key, it is stored once."""

    to: NotRequired[shapes.Recipients | shapes.Digits]
    body: Annotated[str, Keywords(minLength=1)] | shapes.Whole
    idempotencyKey: NotRequired[
        Annotated[str | None, Keywords(minLength=1, maxLength=KEY_LIMIT)] | shapes.Whole
    ]
    replyTo: NotRequired[shapes.Id | None]
    final: NotRequired[bool | None]
    ask: NotRequired[Annotated[float | None, _within(drafts.ASK_RANGE)]]
    urgency: NotRequired[Annotated[str | None, Keywords(enum=[*URGENCIES, None])]]
    ttl: NotRequired[Annotated[float | None, _within(drafts.TIME_RANGE)]]
    delay: NotRequired[Annotated[float | None, _within(drafts.TIME_RANGE)]]
    strict: NotRequired[bool | None]
    confirm: NotRequired[bool | None]


class PeekQuery(TypedDict):
    """The mailbox to count mail in; with ``bodies`` its owner sees the messages, too."""

    name: shapes.GivenName
    bodies: NotRequired[bool]


class CheckQuery(TypedDict):
    """The mailbox to take mail from, and how much."""

    name: shapes.GivenName
    limit: NotRequired[Annotated[float, Keywords(minimum=1, default=CHECK_LIMIT)]]
    lease: NotRequired[Seconds]
    maxChars: NotRequired[Annotated[float, Keywords(minimum=0)]]


class WatchQuery(TypedDict):
    """The mailbox to watch, and for how long."""

    name: shapes.GivenName
    timeout: NotRequired[Timeout]
    lease: NotRequired[Seconds]


class LeasesBody(TypedDict):
    """Tokens of leases."""

    leases: Tokens


class ExtendBody(LeasesBody):
    """Tokens of leases, and how long they last from now on."""

    seconds: NotRequired[
        Annotated[Seconds, Keywords(default=LEASE_DEFAULT)] | shapes.SecondsText | None
    ]


_SEND = Description(
    "Store a message",
    shapes.Receipt | shapes.GroupReceipt,
    identity="required",
    query=SendQuery,
    # A reply needs no address.
    body=Annotated[
        SendBody,
        Keywords(
            anyOf=[
                {"required": ["to"]},
                {"required": ["replyTo"], "properties": {"replyTo": {"type": "integer"}}},
            ]
        ),
    ],
    errors=(
        ConfirmationNeeded,
        EmptyGroup,
        KeyReused,
        MutualAsk,
        NotFound,
        QuotaFull,
        TooLarge,
        TooManyMessages,
        Unanswerable,
        UnknownRecipient,
    ),
)
_PEEK = Description(
    "Count the mail that waits, or look at it, without taking any",
    shapes.Backlog,
    identity="optional",
    is_existing=True,
    query=PeekQuery,
)
_CHECK = Description(
    "Take the mail that waits, oldest first",
    list[shapes.Delivery],
    identity="required",
    query=CheckQuery,
    headers={"X-Mailbox-Pending": "How many messages still wait"},
)
_WATCH = Description(
    "Wait for one message",
    shapes.Delivery,
    identity="required",
    query=WatchQuery,
    may_be_empty=True,
    errors=(Renamed, QuotaFull),
)
_ACK, _RELEASE = (
    Description(what, shapes.LeaseOutcome, identity="required", body=LeasesBody)
    for what in ("Confirm leased messages", "Put leased messages back in their places")
)
_EXTEND = Description(
    "Let leases last longer", shapes.LeaseOutcome, identity="required", body=ExtendBody
)

# The fields of a plain message.
_PLAIN = frozenset({"to", "body"})


class MailRoutes:
    """The routes of mail.

    Args:
        broker: sends and delivers mail.
        callers: identifies the caller.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers

    def routes(self) -> Iterable[Route | MailRoute]:
        """Return the routes."""
        return (
            Route("POST", "/v1/send", self._send, _SEND, self._ask),
            Route("GET", "/v1/peek", self._peek, _PEEK),
            MailRoute("POST", "/v1/check-inbox", self._check, _CHECK),
            MailRoute("GET", "/v1/watch", self._watch, _WATCH),
            Route("POST", "/v1/ack", self._ack, _ACK),
            Route("POST", "/v1/release", self._release, _RELEASE),
            Route("POST", "/v1/extend", self._extend, _EXTEND),
        )

    async def _send(self, request: Request) -> Response:
        return Response(await send(self._broker, await self._draft(request)))

    async def _ask(self, request: Request, custody: Custody) -> Response:
        """Send with a query string: ``wait=`` waits for the answer, with ``lease=`` leases it."""
        draft = await self._draft(request)
        if not request.has("wait"):
            return Response(await send(self._broker, draft))
        if draft.ask is None:
            raise BadRequest("'wait' is for questions: give 'ask' with the seconds, too.")
        seconds = request.number("wait", WATCH_DEFAULT, -math.inf, math.inf)
        with_lease = lease_asked_for(request, custody)
        receipt, delivery = await self._broker.ask(
            draft, min(max(seconds, 0.0), WATCH_LIMIT), custody
        )
        return Response(
            answered_json(receipt, delivery, with_lease=with_lease, user=self._broker.user)
        )

    async def _draft(self, request: Request) -> Draft:
        # Not registered here: the send itself registers its sender.
        sender = (await self._callers.identify(request.scope, register=False)).required()
        content = request.json()
        to = given.text(content, "to")
        is_addressed = to is not None or content.get("replyTo") is None
        draft = Draft(
            sender,
            check_name(to, "to") if is_addressed else "",
            check_body(given.text(content, "body"), self._broker.max_body_bytes),
        )
        if not content.keys() <= _PLAIN:
            draft.key = check_key(given.text(content, "idempotencyKey"))
            draft.reply_to = drafts.reply_to(content.get("replyTo"), "replyTo")
            draft.is_final = flag(content, "final", default=True)
            draft.ask = given.seconds(content, "ask", drafts.ASK_RANGE)
            draft.urgency = drafts.urgency(content.get("urgency"), "urgency")
            draft.ttl = given.seconds(content, "ttl", drafts.TIME_RANGE)
            draft.delay = given.seconds(content, "delay", drafts.TIME_RANGE)
            draft.is_strict = given.flag(content, "strict")
            draft.is_confirmed = given.flag(content, "confirm")
        return draft

    async def _peek(self, request: Request) -> Response:
        if request.flag("bodies"):
            return await self._show_waiting(request)
        caller = await self._callers.identify(request.scope, register=False)
        if caller.is_bound and caller.name is not None and not request.has("name"):
            name = caller.name
        else:
            name = check_name(request.parameter("name"))
        return Response(backlog_json(await self._broker.peek(name)))

    async def _show_waiting(self, request: Request) -> Response:
        _, name = await self._callers.own(request.scope, request.parameter("name"), register=False)
        backlog = backlog_json(await self._broker.peek(name))
        page = await self._broker.history.waiting(name)
        return Response({**backlog, "messages": [history_json(each) for each in page.entries]})

    async def _check(self, request: Request, custody: Custody) -> Response:
        _, name = await self._callers.own(request.scope, request.parameter("name"))
        limit = request.number("limit", CHECK_LIMIT, 1, math.inf)
        characters = request.number("maxChars", math.inf, 0, math.inf)
        is_capped = characters != math.inf
        with_lease = lease_asked_for(request, custody)
        claim = await self._broker.check(
            name,
            custody,
            limit=int(min(limit, CHECK_LIMIT)),
            max_characters=int(characters) if is_capped else None,
            at_least_one=not is_capped,
        )
        return Response(
            [
                delivery_json(delivery, with_lease=with_lease, user=self._broker.user)
                for delivery in claim.deliveries
            ],
            headers=[(b"x-mailbox-pending", str(claim.remaining).encode())],
        )

    async def _watch(self, request: Request, custody: Custody) -> Response:
        name, _ = await self._callers.own(request.scope, request.parameter("name"))
        seconds = request.number("timeout", WATCH_DEFAULT, -math.inf, math.inf)
        with_lease = lease_asked_for(request, custody)
        claim = await self._broker.watch(name, min(max(seconds, 0.0), WATCH_LIMIT), custody)
        if claim is None:
            return Response(status=204)
        return Response(
            delivery_json(claim.deliveries[0], with_lease=with_lease, user=self._broker.user)
        )

    async def _ack(self, request: Request) -> Response:
        holder = (await self._callers.identify(request.scope)).required()
        outcome = await self._broker.leases.ack(lease_tokens(request.json(), "leases"), holder)
        return Response(lease_outcome_json(outcome))

    async def _release(self, request: Request) -> Response:
        holder = (await self._callers.identify(request.scope)).required()
        outcome = await self._broker.leases.release(lease_tokens(request.json(), "leases"), holder)
        return Response(lease_outcome_json(outcome))

    async def _extend(self, request: Request) -> Response:
        holder = (await self._callers.identify(request.scope)).required()
        content = request.json()
        seconds = given.number(content, "seconds", LEASE_DEFAULT)
        in_range("seconds", seconds, *LEASE_RANGE)
        outcome = await self._broker.leases.extend(
            lease_tokens(content, "leases"), float(seconds), holder
        )
        return Response(lease_outcome_json(outcome))


def lease_asked_for(request: Request, custody: Custody) -> bool:
    """Set the explicit lease of *custody* from ``lease=``; return whether there is one."""
    custody.lease_seconds = request.number("lease", 0.0, *LEASE_RANGE) or None
    return custody.lease_seconds is not None
