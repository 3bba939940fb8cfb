"""The REST verbs: parse a call, ask the broker, render the answer. Knows no framework.

Two front ends share them: Quart (rest.py) for everything, and a short cut around it for the
exact routes below (fastlane.py).
"""

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.callers import MAILBOX_HEADER, Caller, Callers, one_header
from claude_mailbox.daemon.edge.handover import SCOPE_KEY, Custody
from claude_mailbox.daemon.edge.render import (
    backlog_json,
    compact,
    delivery_json,
    lease_outcome_json,
    listing_json,
    receipt_json,
    rename_json,
)
from claude_mailbox.daemon.http.asgi import Scope, error_body, error_headers
from claude_mailbox.errors import BadRequest, MailboxError, NameMismatch
from claude_mailbox.model import CHECK_LIMIT, LeaseOutcome, check_body, check_key, check_name

logger = logging.getLogger(__name__)

WATCH_DEFAULT = 25.0
WATCH_LIMIT = 300.0
LEASE_RANGE = (1.0, 3600.0)
LEASE_DEFAULT = 60.0
TOKENS_LIMIT = 10_000

Header = tuple[bytes, bytes]


class Answer:
    """What goes back: a status, a body of JSON or nothing, and further headers."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, content: object = None, *, status: int = 200, headers: Sequence[Header] = ()
    ) -> None:
        self.status = status
        self.headers: list[Header] = list(headers)
        self.body = b""
        if content is not None:
            self.body = compact(content).encode()
            self.headers.append((b"content-type", b"application/json"))

    @classmethod
    def of_error(cls, error: MailboxError) -> "Answer":
        """Return the answer that tells of an error."""
        return cls(error_body(error), status=error.status, headers=error_headers(error))


def surprise(error: Exception, method: str, path: str) -> Answer:
    """Log an error that nobody expected; return the answer that admits it."""
    logger.error("unexpected error in %s %s", method, path, exc_info=error)
    sentence = "The daemon has a bug here: its log says more. Try again."
    return Answer.of_error(MailboxError(sentence))


class Call:
    """One request, as much of it as a verb wants to know."""

    __slots__ = ("_body", "_query", "scope")

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.scope = scope
        self._body = body
        self._query: dict[str, list[str]] | None = None

    def has(self, key: str) -> bool:
        """Return whether the query has that parameter."""
        return key in self._parameters()

    def parameter(self, key: str) -> str | None:
        """Return a parameter of the query, or None.

        Raises:
            BadRequest: if it is there more than once.
        """
        values = self._parameters().get(key)
        if values is None:
            return None
        if len(values) > 1:
            raise BadRequest(f"Give '{key}' only once.")
        return values[0]

    def _parameters(self) -> dict[str, list[str]]:
        if self._query is None:
            self._query = {}
            text = self.scope["query_string"].decode("latin-1")
            try:
                pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=20)
            except ValueError:
                raise BadRequest("The query is malformed: encode it as UTF-8.") from None
            for key, value in pairs:
                self._query.setdefault(key, []).append(value)
        return self._query

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a parameter as a number from *low* to *high*.

        Raises:
            BadRequest: if it is none, or out of range.
        """
        text = self.parameter(key)
        if text is None:
            return default
        try:
            # On its own, float() takes underscores and the digits of other scripts, too.
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadRequest(f"'{key}' must be a number, not '{text[:40]}'.")
        return _in_range(key, value, low, high)

    def content(self) -> Mapping[str, object]:
        """Return the body's JSON object.

        Raises:
            BadRequest: if the body is no JSON, or no object.
        """
        try:
            # Left to itself, json guesses the encoding and lets half surrogates pass.
            content = json.loads(self._body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not valid JSON: {str(error)[:200]}.") from None
        if not isinstance(content, dict):
            raise BadRequest("The body must be one JSON object.")
        return content

    def custody(self) -> Custody:
        """Return the response's custody, told whether an explicit lease was asked for."""
        custody: Custody = self.scope[SCOPE_KEY]
        if self.has("lease"):
            custody.lease_seconds = self.number("lease", LEASE_DEFAULT, *LEASE_RANGE)
        return custody


Verb = Callable[[Call], Awaitable[Answer]]


class Verbs:
    """The verbs, each a method that takes a call and returns its answer.

    Args:
        broker: what they talk to.
        callers: finds out who calls.
        health: returns what ``/health`` answers.
    """

    def __init__(
        self, broker: Broker, callers: Callers, health: Callable[[], Mapping[str, object]]
    ) -> None:
        self._broker = broker
        self._callers = callers
        self._health = health
        self.routes: dict[tuple[str, str], Verb] = {
            ("GET", "/health"): self.health,
            ("POST", "/v1/send"): self.send,
            ("GET", "/v1/peek"): self.peek,
            ("POST", "/v1/check-inbox"): self.check,
            ("GET", "/v1/watch"): self.watch,
            ("POST", "/v1/ack"): self.ack,
            ("POST", "/v1/release"): self.release,
            ("POST", "/v1/extend"): self.extend,
            ("GET", "/v1/list"): self.list_mailboxes,
            ("POST", "/v1/rename"): self.rename,
            ("DELETE", "/v1/mailbox"): self.delete,
        }

    async def health(self, call: Call) -> Answer:
        """``GET /health``"""
        await self._callers.identify(call.scope)
        return Answer(self._health())

    async def send(self, call: Call) -> Answer:
        """``POST /v1/send``"""
        sender = _require(await self._callers.identify(call.scope))
        content = call.content()
        receipt = await self._broker.send(
            sender,
            check_name(content.get("to"), "to"),
            check_body(content.get("body"), self._broker.max_body_bytes),
            check_key(content.get("idempotencyKey")),
        )
        return Answer(receipt_json(receipt))

    async def peek(self, call: Call) -> Answer:
        """``GET /v1/peek``"""
        caller = await self._callers.identify(call.scope)
        if caller.is_bound and caller.name is not None and not call.has("name"):
            name = caller.name
        else:
            name = check_name(call.parameter("name"))
        return Answer(backlog_json(await self._broker.peek(name)))

    async def check(self, call: Call) -> Answer:
        """``POST /v1/check-inbox``"""
        _, name = await own_names(self._callers, call)
        limit = call.number("limit", CHECK_LIMIT, 1, math.inf)
        characters = call.number("maxChars", math.inf, 0, math.inf)
        is_capped = characters != math.inf
        custody = call.custody()
        claim = await self._broker.check(
            name,
            custody,
            limit=int(min(limit, CHECK_LIMIT)),
            max_characters=int(characters) if is_capped else None,
            at_least_one=not is_capped,
        )
        with_lease = custody.lease_seconds is not None
        return Answer(
            [delivery_json(delivery, with_lease=with_lease) for delivery in claim.deliveries],
            headers=[(b"x-mailbox-pending", str(claim.remaining).encode())],
        )

    async def watch(self, call: Call) -> Answer:
        """``GET /v1/watch``"""
        name, _ = await own_names(self._callers, call)
        seconds = call.number("timeout", WATCH_DEFAULT, -math.inf, math.inf)
        custody = call.custody()
        claim = await self._broker.watch(name, min(max(seconds, 0.0), WATCH_LIMIT), custody)
        if claim is None:
            return Answer(status=204)
        with_lease = custody.lease_seconds is not None
        return Answer(delivery_json(claim.deliveries[0], with_lease=with_lease))

    async def ack(self, call: Call) -> Answer:
        """``POST /v1/ack``"""
        return await self._judge(call, self._broker.ack)

    async def release(self, call: Call) -> Answer:
        """``POST /v1/release``"""
        return await self._judge(call, self._broker.release)

    async def _judge(
        self, call: Call, verb: Callable[[Sequence[str], str], Awaitable[LeaseOutcome]]
    ) -> Answer:
        holder = _require(await self._callers.identify(call.scope))
        return Answer(lease_outcome_json(await verb(_tokens(call.content()), holder)))

    async def extend(self, call: Call) -> Answer:
        """``POST /v1/extend``"""
        holder = _require(await self._callers.identify(call.scope))
        content = call.content()
        seconds = content.get("seconds", LEASE_DEFAULT)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise BadRequest("'seconds' must be a number.")
        _in_range("seconds", seconds, *LEASE_RANGE)
        outcome = await self._broker.extend(_tokens(content), float(seconds), holder)
        return Answer(lease_outcome_json(outcome))

    async def list_mailboxes(self, call: Call) -> Answer:
        """``GET /v1/list``"""
        caller = await self._callers.identify(call.scope)
        rows = await self._broker.list_mailboxes(caller.name)
        return Answer([listing_json(listing, watching=watching) for listing, watching in rows])

    async def rename(self, call: Call) -> Answer:
        """``POST /v1/rename``"""
        current = _require(await self._callers.identify(call.scope))
        to = check_name(call.content().get("to"), "to")
        return Answer(rename_json(await self._broker.rename(current, to)))

    async def delete(self, call: Call) -> Answer:
        """``DELETE /v1/mailbox``"""
        _, name = await own_names(self._callers, call, register=False)
        return Answer({"deleted": await self._broker.delete(name)})


async def own_names(callers: Callers, call: Call, *, register: bool = True) -> tuple[str, str]:
    """Return the name that the query gives and the present one; it must be the caller's own.

    Raises:
        NameMismatch: if it is somebody else's.
        BadRequest: if the caller or the name is missing or malformed.
    """
    caller = await callers.identify(call.scope, register=register)
    if caller.is_bound and caller.name is not None and not call.has("name"):
        return caller.name, caller.name
    name = check_name(call.parameter("name"))
    own = _require(caller)
    # The header may have been a former name too; so compare as given, then as it is now.
    if name == own or name == (one_header(call.scope, MAILBOX_HEADER) or "").strip():
        return name, own
    if await callers.present(name) != await callers.present(own):
        raise NameMismatch(
            f"The header X-Mailbox says '{own}', 'name' says '{name}': both must be your mailbox."
        )
    return name, own


def _require(caller: Caller) -> str:
    if caller.name is None:
        raise BadRequest("The header X-Mailbox is missing: send the name of your mailbox in it.")
    return caller.name


def _in_range(key: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        bounds = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise BadRequest(f"'{key}' must be {bounds}, not {str(value)[:40]}.")
    return value


def _tokens(content: Mapping[str, object]) -> Sequence[str]:
    tokens = content.get("leases")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise BadRequest("'leases' must be a list of lease tokens.")
    if not all(token.isascii() for token in tokens):
        raise BadRequest("'leases' has a text that never was a lease token.")
    if len(tokens) > TOKENS_LIMIT:
        raise BadRequest(f"'leases' has {len(tokens)} tokens; the limit is {TOKENS_LIMIT}.")
    return tokens
