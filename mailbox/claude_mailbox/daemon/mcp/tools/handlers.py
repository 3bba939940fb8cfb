"""The handlers of the tools, with the same verbs and error messages as REST, and without the SDK.

A result is structured content, and the same as compact JSON, because clients show their model one or
the other. Bodies are made safe for models; programs that need them exactly as sent use REST.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input.arguments import Arguments
from claude_mailbox.daemon.edge.input.callers import Caller, Callers, one_header
from claude_mailbox.daemon.edge.input.subagents import SubagentCalls
from claude_mailbox.daemon.edge.network.grant import check_allowed
from claude_mailbox.daemon.edge.output.handover import CUSTODY_KEY, Custody
from claude_mailbox.daemon.edge.output.render import (
    backlog_json,
    compact,
    listing_json,
    receipt_json,
    rename_json,
)
from claude_mailbox.daemon.edge.sending import send
from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.daemon.mcp.cancellation import CancellableCalls
from claude_mailbox.daemon.mcp.clients import characters_for
from claude_mailbox.daemon.mcp.tools.arguments import check_keys
from claude_mailbox.daemon.mcp.tools.drafts import draft_of
from claude_mailbox.daemon.mcp.tools.history import HistoryTools
from claude_mailbox.daemon.mcp.tools.parts import json_size
from claude_mailbox.daemon.mcp.tools.results import ENVELOPE, MailResults
from claude_mailbox.daemon.mcp.tools.schemas import (
    LEAST_CHARACTERS,
    TOOLS,
    WATCH_DEFAULT,
    WATCH_LIMIT,
)
from claude_mailbox.errors import BadRequest, MailboxError
from claude_mailbox.model.groups import Group, check_description, check_group
from claude_mailbox.model.mail import CHECK_LIMIT, Claim
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import NameMismatch

logger = logging.getLogger(__name__)

LIST_LIMIT = 50
LEASE_HEADER = b"x-mailbox-lease"

ARGUMENTS = {tool.name: tuple(tool.properties) for tool in TOOLS}

Content = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """What a tool needs of the request that calls it.

    Attributes:
        scope: the HTTP request's.
        id: the JSON-RPC id of the call.
        client: the client's name, or None.
        tool_use_id: the id of the call in the client's conversation, or None.
    """

    scope: Scope
    id: object
    client: str | None
    tool_use_id: str | None

    def custody(self) -> Custody:
        """Return the response's custody, with the explicit lease that the client asks for."""
        custody: Custody = self.scope[CUSTODY_KEY]
        seconds = one_header(self.scope, LEASE_HEADER)
        if seconds is not None:
            if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds[:9]) <= 3600):
                raise BadRequest("The header X-Mailbox-Lease must be from 1 to 3600 seconds.")
            custody.lease_seconds = float(seconds)
        return custody


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call.

    Attributes:
        text: compact JSON, or a sentence.
        structured: the same as an object; None for an error.
    """

    text: str
    structured: Content | None = None

    @property
    def is_error(self) -> bool:
        """Whether the text is an error message."""
        return self.structured is None


class Tools:
    """The handlers of the tools.

    Args:
        broker: does what they need.
        callers: identifies callers.
        calls: the calls that clients can cancel.
        subagents: knows which calls are made by subagents.
    """

    def __init__(
        self, broker: Broker, callers: Callers, calls: CancellableCalls, subagents: SubagentCalls
    ) -> None:
        self._broker = broker
        self._callers = callers
        self._calls = calls
        self._subagents = subagents
        self.results = MailResults(broker, callers)
        self._history_tools = HistoryTools(broker)
        self._handlers: dict[str, Callable[[ToolRequest, Arguments], Awaitable[Content]]] = {
            "send": self._send,
            "check_inbox": self._check,
            "peek_inbox": self._peek,
            "list_mailboxes": self._list,
            "rename": self._rename,
            "watch": self._watch,
            "history": self._history,
            "message": self._message,
            "join": self._join,
            "leave": self._leave,
            "describe": self._describe,
        }

    async def call(self, request: ToolRequest, name: str, arguments: Arguments) -> ToolResult:
        """Run a tool; errors become results, too."""
        try:
            content = await self._run(request, name, arguments)
            return ToolResult(compact(content).decode(), content)
        except MailboxError as error:
            sentence = str(error)
        except Exception:
            logger.exception("unexpected error in the tool %s", name)
            sentence = "The daemon has a bug here: its log says more. Try again."
        custody: Custody = request.scope[CUSTODY_KEY]
        custody.has_failed = True
        return ToolResult(sentence)

    async def _run(self, request: ToolRequest, name: str, arguments: Arguments) -> Content:
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(self._handlers)
            raise BadRequest(f"There is no tool '{name[:60]}'; the tools are: {known}.")
        check_keys(arguments, name, ARGUMENTS[name])
        return await handler(request, arguments)

    async def _own_name(
        self, request: ToolRequest, arguments: Arguments, key: str, *, register: bool = True
    ) -> str:
        caller = await self._callers.identify(request.scope, register=register)
        return await self._acting_as(request, caller, arguments, key, register=register)

    async def _acting_as(
        self,
        request: ToolRequest,
        caller: Caller,
        arguments: Arguments,
        key: str,
        *,
        register: bool = True,
    ) -> str:
        name = given.name(arguments, key)
        if name is not None and request.tool_use_id in self._subagents:
            # A subagent may have its own mailbox beside its session's.
            caller = replace(caller, is_bound=False)
        return await self._callers.acting_as(caller, name, key, register=register)

    async def _mailbox_to_empty(self, request: ToolRequest, arguments: Arguments) -> str:
        """Return the mailbox to take mail from.

        Raises:
            NameMismatch: if a subagent would take its session's mail.
        """
        if request.tool_use_id in self._subagents:
            session = (await self._callers.identify(request.scope, register=False)).name
            name = given.name(arguments, "name")
            if name is None or (session and await self._callers.present(name) == session):
                raise NameMismatch(
                    "You are a subagent, and this mail is for the main conversation: to have mail"
                    " of your own, give a 'name' of your own here, and as 'from' in send, such as"
                    f" '{session or 'session'}/helper'."
                )
        return await self._own_name(request, arguments, "name")

    async def _send(self, request: ToolRequest, arguments: Arguments) -> Content:
        # Not registered here: the send itself registers its sender.
        sender = await self._own_name(request, arguments, "from", register=False)
        draft = draft_of(sender, arguments, self._broker.max_body_bytes)
        seconds = given.seconds(arguments, "wait", (0.0, math.inf))
        if seconds is None:
            return {**await send(self._broker, draft)}
        if draft.ask is None:
            raise BadRequest("'wait' is for questions: give 'ask' with the seconds, too.")
        custody = request.custody()
        await self.results.start_over(sender)
        with self._calls.waiting(request.scope, request.id) as cancel_scope:
            receipt, delivery = await self._broker.ask(
                draft, min(seconds, WATCH_LIMIT), custody, by="mcp"
            )
        if cancel_scope.cancel_called:
            await self.results.release(custody)
            return {"answer": None}
        content: Content = {**receipt_json(receipt), "answer": None}
        if delivery is None:
            return content
        room = characters_for(request.client) - json_size(content)
        (message,), rest = await self.results.handed_out(
            Claim(receipt.sender, [delivery], 0), room, custody
        )
        key = "notice" if "notice" in message else "answer"
        return {**content, key: message, **({"next": rest["next"]} if "next" in rest else {})}

    async def _check(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._mailbox_to_empty(request, arguments)
        limit = given.whole(arguments, "limit", CHECK_LIMIT, 1)
        part = given.whole(arguments, "part", 1, 1)
        room = characters_for(request.client)
        room = min(given.whole(arguments, "max_chars", room, LEAST_CHARACTERS), room)
        custody = request.custody()
        if part > 1:
            message, rest = await self.results.later_part(name, part, custody)
            return {"messages": [message], **rest}
        await self.results.start_over(name)
        claim = await self._broker.check(
            name,
            custody,
            limit=min(limit, CHECK_LIMIT),
            max_characters=room - ENVELOPE,
            measure=self.results.size,
            by="mcp",
        )
        messages, rest = await self.results.handed_out(claim, room, custody)
        return {"messages": messages, **rest}

    async def _watch(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._mailbox_to_empty(request, arguments)
        seconds = given.number(arguments, "timeout", WATCH_DEFAULT)
        custody = request.custody()
        await self.results.start_over(name)
        claim = None
        with self._calls.waiting(request.scope, request.id) as cancel_scope:
            claim = await self._broker.watch(
                name, float(min(max(seconds, 0), WATCH_LIMIT)), custody, by="mcp"
            )
        if cancel_scope.cancel_called:
            await self.results.release(custody)
            return {"message": None}
        if claim is None:
            return {"message": None}
        (message,), rest = await self.results.handed_out(
            claim, characters_for(request.client), custody
        )
        return {"message": message, **rest}

    async def _peek(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name", register=False)
        return backlog_json(await self._broker.peek(name))

    async def _list(self, request: ToolRequest, arguments: Arguments) -> Content:
        caller = await self._callers.identify(request.scope)
        own = None
        if caller.name is not None or given.name(arguments, "name") is not None:
            name = await self._acting_as(request, caller, arguments, "name")
            own = await self._callers.present(name)
        rows = await self._broker.listings.all(own)
        room = characters_for(request.client) - ENVELOPE - json_size(own)
        shown: list[Content] = []
        for listing, watching in rows[:LIST_LIMIT]:
            row = listing_json(listing, watching=watching)
            room -= json_size(row) + 1
            if room < 0:
                break
            shown.append(row)
        return {"you": own, "mailboxes": shown, "more": len(rows) - len(shown)}

    async def _rename(self, request: ToolRequest, arguments: Arguments) -> Content:
        current = await self._own_name(request, arguments, "current_name", register=False)
        to = check_name(given.text(arguments, "new_name"), "new_name")
        check_allowed(request.scope, to)
        return rename_json(await self._broker.mailboxes.rename(current, to))

    async def _history(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name")
        return await self._history_tools.history(name, arguments, characters_for(request.client))

    async def _message(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name")
        return await self._history_tools.message(name, arguments)

    async def _join(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name")
        return _group(await self._broker.groups.join(name, _group_name(arguments)))

    async def _leave(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name")
        return _group(await self._broker.groups.leave(name, _group_name(arguments)))

    async def _describe(self, request: ToolRequest, arguments: Arguments) -> Content:
        name = await self._own_name(request, arguments, "name")
        text = check_description(given.text(arguments, "text"))
        await self._broker.mailboxes.describe(name, text)
        return {"name": await self._callers.present(name), "description": text}


def _group_name(arguments: Arguments) -> str:
    return check_group(given.text(arguments, "group"))


def _group(group: Group) -> Content:
    """Return a group with its first members."""
    shown = group.members[:LIST_LIMIT]
    return {"group": group.name, "members": shown, "more": len(group.members) - len(shown)}
