"""MCP tools: the same verbs and the same sentences as REST. Knows no SDK.

The schemas are written by hand, because every session carries them in its context window.
Results are structured content with compact JSON beside it: clients show a model one or the other.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.callers import Caller, Callers, one_header
from claude_mailbox.daemon.edge.handover import Custody
from claude_mailbox.daemon.edge.render import (
    backlog_json,
    compact,
    delivery_json,
    history_json,
    listing_json,
    receipt_json,
    rename_json,
    status_json,
)
from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.daemon.mcp.cancellation import CancellableCalls
from claude_mailbox.errors import BadRequest, MailboxError
from claude_mailbox.model import (
    Claim,
    HistoryQuery,
    check_body,
    check_message,
    check_name,
    check_words,
)

logger = logging.getLogger(__name__)

SERVER_NAME = "claude-mailbox"
SERVER_TITLE = "Mailbox"

CHECK_CHARACTERS = 60_000
HISTORY_MESSAGES = 20
HISTORY_CHARACTERS = 20_000
WATCH_DEFAULT = 25.0
WATCH_LIMIT = 50.0
LEASE_HEADER = b"x-mailbox-lease"
# Scope keys: what the SDK does not carry to a tool otherwise.
CUSTODY_KEY = "claude_mailbox.custody"
_REQUEST_ID = "claude_mailbox.request_id"

_NAME = {"type": "string", "description": "Your mailbox"}
# Lets a client that caps tool output show a long message whole.
_LONG = {"anthropic/maxResultSizeChars": 500_000}


@dataclass(frozen=True, slots=True)
class Tool:
    """What a client is told of a tool.

    Attributes:
        properties: its arguments, each with its JSON schema.
        required: those that must be there.
        meta: what goes into ``_meta``, or None.
    """

    name: str
    description: str
    properties: Mapping[str, object]
    required: tuple[str, ...] = ()
    is_read_only: bool = False
    is_idempotent: bool = False
    meta: Mapping[str, object] | None = None

    def schema(self) -> dict[str, object]:
        """Return the JSON schema of the arguments."""
        schema = {"type": "object", "additionalProperties": False, "properties": self.properties}
        return {**schema, "required": list(self.required)} if self.required else schema


TOOLS = (
    Tool(
        "send",
        "Send a message to a peer's mailbox. It is stored safely before this returns, and wakes"
        " the peer. 'recipient.known' false: nobody has used that name yet.",
        {
            "to": {"type": "string", "description": "The peer's mailbox"},
            "body": {"type": "string"},
            "from": _NAME,
        },
        ("to", "body"),
    ),
    Tool(
        "check_inbox",
        "Take your waiting messages, oldest first. 'remaining' above 0: call again.",
        {"name": _NAME},
        meta=_LONG,
    ),
    Tool(
        "peek_inbox",
        "Count your waiting messages without taking them.",
        {"name": _NAME},
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "list_mailboxes",
        "List the mailboxes in use, and how many messages each has sent you that wait.",
        {"name": _NAME},
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "rename",
        "Give your mailbox another name. Mail and watchers move along; mail to the old name is"
        " forwarded.",
        {"current_name": _NAME, "new_name": {"type": "string"}},
        ("new_name",),
    ),
    Tool(
        "watch",
        "Wait until a message comes and take it; 'message' is null when none came in time.",
        {
            "name": _NAME,
            "timeout": {"type": "number", "description": "Seconds, at most 50; default 25"},
        },
        meta=_LONG,
    ),
    Tool(
        "history",
        "Read what you sent and got, newest first. 'more': pass the last id as 'before'.",
        {
            "query": {"type": "string", "description": 'Words, "quoted phrases"'},
            "with": {"type": "string", "description": "Only with this mailbox"},
            "thread": {"type": "integer", "description": "Only this thread"},
            "before": {"type": "integer"},
            "name": _NAME,
        },
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "message",
        "Say what became of a message that you sent or got.",
        {"id": {"type": "integer"}, "name": _NAME},
        ("id",),
        is_read_only=True,
        is_idempotent=True,
    ),
)

ARGUMENTS = {tool.name: frozenset(tool.properties) for tool in TOOLS}

Arguments = Mapping[str, object]
Content = dict[str, object]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call.

    Attributes:
        text: compact JSON, or a sentence.
        structured: the same as an object; None of an error.
    """

    text: str
    structured: Content | None = None

    @property
    def is_error(self) -> bool:
        """Whether the text tells of an error."""
        return self.structured is None


class Tools:
    """The tools' handlers.

    Args:
        broker: what they talk to.
        callers: finds out who calls.
        calls: lets clients give up waiting.
    """

    def __init__(self, broker: Broker, callers: Callers, calls: CancellableCalls) -> None:
        self._broker = broker
        self._callers = callers
        self._calls = calls
        self._handlers: dict[str, Callable[[Scope, Arguments], Awaitable[Content]]] = {
            "send": self._send,
            "check_inbox": self._check,
            "peek_inbox": self._peek,
            "list_mailboxes": self._list,
            "rename": self._rename,
            "watch": self._watch,
            "history": self._history,
            "message": self._message,
        }

    async def call(
        self, scope: Scope, request_id: object, name: str, arguments: Arguments
    ) -> ToolResult:
        """Carry out one call; whatever is wrong with it is told in the result."""
        scope[_REQUEST_ID] = request_id
        try:
            content = await self._run(scope, name, arguments)
            return ToolResult(compact(content), content)
        except MailboxError as error:
            sentence = str(error)
        except Exception:
            logger.exception("unexpected error in the tool %s", name)
            sentence = "The daemon has a bug here: its log says more. Try again."
        custody: Custody = scope[CUSTODY_KEY]
        custody.has_failed = True
        return ToolResult(sentence)

    async def _run(self, scope: Scope, name: str, arguments: Arguments) -> Content:
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(self._handlers)
            raise BadRequest(f"There is no tool '{name[:60]}'; the tools are: {known}.")
        for key in arguments:
            if key not in ARGUMENTS[name]:
                known = ", ".join(next(t for t in TOOLS if t.name == name).properties)
                raise BadRequest(f"'{name}' has no argument '{key[:60]}'; it takes: {known}.")
        return await handler(scope, arguments)

    async def _own_name(
        self, scope: Scope, arguments: Arguments, key: str, *, register: bool = True
    ) -> str:
        caller = await self._callers.identify(scope, register=register)
        return await self._acting_as(caller, arguments, key, register=register)

    async def _acting_as(
        self, caller: Caller, arguments: Arguments, key: str, *, register: bool = True
    ) -> str:
        given = arguments.get(key)
        # Models that have nothing to say often say "" or null.
        name = None if given in (None, "") else check_name(given, key)
        return await self._callers.acting_as(caller, name, key, register=register)

    async def _send(self, scope: Scope, arguments: Arguments) -> Content:
        sender = await self._own_name(scope, arguments, "from")
        to = check_name(arguments.get("to"), "to")
        body = check_body(arguments.get("body"), self._broker.max_body_bytes)
        return receipt_json(await self._broker.send(sender, to, body))

    async def _check(self, scope: Scope, arguments: Arguments) -> Content:
        name = await self._own_name(scope, arguments, "name")
        custody = _custody(scope)
        claim = await self._broker.check(name, custody, max_characters=CHECK_CHARACTERS, by="mcp")
        _name_holder(custody, claim)
        return {"messages": _messages(claim), "remaining": claim.remaining}

    async def _peek(self, scope: Scope, arguments: Arguments) -> Content:
        name = await self._own_name(scope, arguments, "name", register=False)
        return backlog_json(await self._broker.peek(name))

    async def _list(self, scope: Scope, arguments: Arguments) -> Content:
        caller = await self._callers.identify(scope)
        own = None
        if caller.name is not None or arguments.get("name") not in (None, ""):
            own = await self._callers.present(await self._acting_as(caller, arguments, "name"))
        rows = await self._broker.list_mailboxes(own)
        return {
            "you": own,
            "mailboxes": [listing_json(listing, watching=watching) for listing, watching in rows],
        }

    async def _rename(self, scope: Scope, arguments: Arguments) -> Content:
        current = await self._own_name(scope, arguments, "current_name")
        to = check_name(arguments.get("new_name"), "new_name")
        return rename_json(await self._broker.rename(current, to))

    async def _watch(self, scope: Scope, arguments: Arguments) -> Content:
        name = await self._own_name(scope, arguments, "name")
        timeout = arguments.get("timeout", WATCH_DEFAULT)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
            raise BadRequest("'timeout' must be a number of seconds.")
        seconds = float(min(max(timeout, 0), WATCH_LIMIT))
        custody = _custody(scope)
        claim = None
        with self._calls.waiting(scope, scope[_REQUEST_ID]) as patience:
            claim = await self._broker.watch(name, seconds, custody, by="mcp")
        if patience.cancel_called:
            # A claim that was under way is not cancelled, and now nobody wants it.
            if custody.tokens:
                await self._broker.release(custody.tokens)
                custody.drop()
            return {"message": None}
        if claim is None:
            return {"message": None}
        _name_holder(custody, claim)
        return {"message": _messages(claim)[0], "remaining": claim.remaining}

    async def _history(self, scope: Scope, arguments: Arguments) -> Content:
        name = await self._own_name(scope, arguments, "name")
        peer, thread, before = (arguments.get(key) or None for key in ("with", "thread", "before"))
        query = HistoryQuery(
            words=check_words(arguments.get("query"), "query"),
            peer=None if peer is None else check_name(peer, "with"),
            thread=None if thread is None else check_message(thread, "thread"),
            before=None if before is None else check_message(before, "before"),
            limit=HISTORY_MESSAGES,
            max_characters=HISTORY_CHARACTERS,
        )
        page = await self._broker.history.page(name, query)
        messages = [history_json(entry) for entry in page.entries]
        fitting = _fitting(messages)
        return {"messages": fitting, "more": page.has_more or len(fitting) < len(messages)}

    async def _message(self, scope: Scope, arguments: Arguments) -> Content:
        name = await self._own_name(scope, arguments, "name")
        number = check_message(arguments.get("id"), "id")
        return status_json(await self._broker.receipts.status(name, number))


def _custody(scope: Scope) -> Custody:
    custody: Custody = scope[CUSTODY_KEY]
    seconds = one_header(scope, LEASE_HEADER)
    if seconds is not None:
        if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds[:9]) <= 3600):
            raise BadRequest("The header X-Mailbox-Lease must be from 1 to 3600 seconds.")
        custody.lease_seconds = float(seconds)
    return custody


def _name_holder(custody: Custody, claim: Claim) -> None:
    """Have explicit leases named in headers: a tool's result has no place for them."""
    if custody.lease_seconds is not None:
        custody.holder = claim.mailbox


def _fitting(messages: list[Content]) -> list[Content]:
    """Return as many as are within the characters of a history, the first one cut if it must be."""
    room = HISTORY_CHARACTERS - len('{"messages":[],"more":false}')
    for count, message in enumerate(messages):
        if count == 0:
            while len(compact(message)) > room:
                body = str(message["body"])
                message = {"bodyLength": len(body), **message, "body": body[: len(body) * 4 // 5]}
            messages = [message, *messages[1:]]
        room -= len(compact(message)) + 1
        if room < -1:
            return messages[:count]
    return messages


def _messages(claim: Claim) -> list[dict[str, object]]:
    return [delivery_json(delivery, with_lease=False) for delivery in claim.deliveries]
