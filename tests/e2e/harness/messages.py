"""The format of the Messages API, between the client and the model. No I/O."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Text:
    """The model answers with text."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """The model calls a tool; for an MCP tool, ``server__tool`` is enough."""

    tool: str
    arguments: dict[str, Any]


Turn = Sequence[Text | ToolCall]


def say(text: str) -> Text:
    """Return text as a part of a model's turn."""
    return Text(text)


def call(tool: str, **arguments: Any) -> ToolCall:
    """Return a tool call as a part of a model's turn."""
    return ToolCall(tool, arguments)


def quiet(_: "Request") -> Text:
    """Answer with two words: the script of a model that calls no tools."""
    return say("All right.")


def calls_tools(turn: Turn) -> bool:
    """Return whether *turn* calls a tool, so that another request follows."""
    return any(isinstance(part, ToolCall) for part in turn)


@dataclass(frozen=True)
class Request:
    """One request of the client, for its main conversation or for a subagent.

    Attributes:
        at: `time.monotonic()` when it came in.
        session: id of the session.
        agent: id of the subagent; empty in the main conversation.
        body: the whole request.
        tools: full names of the tools that the model can call now.
        news: as text, everything that was shown since the model's last turn.
        history: as text, everything that was shown.
    """

    at: float
    session: str
    agent: str
    body: dict[str, Any] = field(repr=False)
    tools: tuple[str, ...] = field(repr=False)
    news: str
    history: str = field(repr=False)

    @classmethod
    def of(cls, at: float, headers: Mapping[str, str], body: dict[str, Any]) -> "Request":
        """Read a request that came in *at*."""
        messages = body["messages"]
        turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        fresh = messages[turns[-1] + 1 :] if turns else messages
        tools = tuple(tool["name"] for tool in body.get("tools") or ())
        return cls(
            at=at,
            session=headers.get("X-Claude-Code-Session-Id", ""),
            agent=headers.get("X-Claude-Code-Agent-Id", ""),
            body=body,
            tools=tools,
            news=_text(fresh),
            history=_text(messages),
        )

    def tool(self, name: str) -> str | None:
        """Return the full name of a tool, or None if there is no such tool."""
        return _named(name, self.tools)

    def deferred_tool(self, name: str) -> str | None:
        """Return the same for tools that the client has announced by name only."""
        return _named(name, self.history.split("\n"))


def _named(name: str, names: Sequence[str]) -> str | None:
    # In full: mcp__plugin_<plugin>_<server>__<tool>
    return next((full for full in names if full == name or full.endswith(f"_{name}")), None)


def _text(messages: Sequence[dict[str, Any]]) -> str:
    return "\n".join(text for message in messages for text in _texts(message["content"]))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if block["type"] == "text":
                yield block["text"]
            elif block["type"] == "tool_result":
                yield from _texts(block.get("content", ""))


def stream(message_id: str, request: Request, turn: Turn) -> str:
    """Return *turn* as the server-sent events of one streamed message.

    Raises:
        LookupError: if it calls a tool that the model does not have.
    """
    head = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model", "claude"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": head}]
    for index, part in enumerate(turn):
        start, delta = _block(f"toolu_{message_id}_{index}", request, part)
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    reason = "tool_use" if calls_tools(turn) else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def _block(
    block_id: str, request: Request, part: Text | ToolCall
) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(part, Text):
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": part.text}
    name = request.tool(part.tool)
    if name is None:
        message = f"the model has no tool {part.tool!r}, only {', '.join(request.tools)}"
        raise LookupError(message)
    start = {"type": "tool_use", "id": block_id, "name": name, "input": {}}
    return start, {"type": "input_json_delta", "partial_json": json.dumps(part.arguments)}
