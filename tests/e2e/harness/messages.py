"""What the client says to the model and back: the Messages API's format. No I/O."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Say:
    """The model says something."""

    text: str


@dataclass(frozen=True)
class Call:
    """The model calls a tool; of an MCP tool, ``server__tool`` is enough."""

    tool: str
    arguments: dict[str, Any]


Answer = Sequence[Say | Call]


def say(text: str) -> Say:
    """Return words as a part of an answer."""
    return Say(text)


def call(tool: str, **arguments: Any) -> Call:
    """Return a tool call as a part of an answer."""
    return Call(tool, arguments)


def quiet(_: "Request") -> Say:
    """Answer in two words: the script of a model that only listens."""
    return say("All right.")


def calls_tools(answer: Answer) -> bool:
    """Return whether *answer* calls a tool, so that the turn goes on after it."""
    return any(isinstance(part, Call) for part in answer)


@dataclass(frozen=True)
class Request:
    """One request of the client, for its main conversation or for a subagent.

    Attributes:
        at: `time.monotonic()` when it came in.
        session: id of the session.
        agent: id of the subagent; empty in the main conversation.
        body: the whole request.
        tools: full names of the tools that the model may call now.
        news: everything shown since the model spoke last, as text.
        history: everything shown, as text.
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
        spoken = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        fresh = messages[spoken[-1] + 1 :] if spoken else messages
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
        """Return the full name of the tool that *name* stands for; None when there is none."""
        return _named(name, self.tools)

    def deferred_tool(self, name: str) -> str | None:
        """Do the same among the names that the client only announced, without a schema."""
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


def stream(message_id: str, request: Request, answer: Answer) -> str:
    """Return *answer* as the server-sent events of one streamed message.

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
    for index, part in enumerate(answer):
        start, delta = _block(f"toolu_{message_id}_{index}", request, part)
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    reason = "tool_use" if calls_tools(answer) else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def _block(
    block_id: str, request: Request, part: Say | Call
) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(part, Say):
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": part.text}
    name = request.tool(part.tool)
    if name is None:
        message = f"the model has no tool {part.tool!r}, only {', '.join(request.tools)}"
        raise LookupError(message)
    start = {"type": "tool_use", "id": block_id, "name": name, "input": {}}
    return start, {"type": "input_json_delta", "partial_json": json.dumps(part.arguments)}
