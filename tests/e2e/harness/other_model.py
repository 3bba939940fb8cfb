"""A scripted model that speaks the APIs of OpenAI and Gemini, for other clients than Claude Code.

It answers the requests of the main conversation with the parts of a plan, one after the other, and
with two words when the plan is at its end.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from e2e.harness.messages import Text, ToolCall, say
from e2e.harness.waiting import TIMEOUT

_USAGE = {
    "input_tokens": 1,
    "input_tokens_details": None,
    "output_tokens": 1,
    "output_tokens_details": None,
    "total_tokens": 2,
}


class OtherModel:
    """The model of one client, as a context manager.

    Args:
        tool: a tool that only the main conversation has; other requests are the client's own.

    Attributes:
        plan: the next answers in the main conversation; a function is called for its answer.
        requests: what was shown in the main conversation at each request, as JSON.
    """

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self.plan: list[Text | ToolCall | Callable[[], Text | ToolCall]] = []
        self.requests: list[str] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="model")

    def __enter__(self) -> "OtherModel":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Base URL for the client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def is_shown(self, text: str, seconds: float = TIMEOUT) -> bool:
        """Wait until the model has been shown *text*; return whether it was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: text in "".join(self.requests[-1:]), seconds)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[str, str]:
        """Return the content type and the text of an answer."""
        if self._tool in re.findall(r'"name": "([^"]*)"', json.dumps(body.get("tools") or ())):
            shown = json.dumps(body.get("input") or body.get("messages") or body.get("contents"))
            with self._changed:
                self.requests.append(shown)
                answer = self.plan.pop(0) if self.plan else say("All right.")
                part = answer() if callable(answer) else answer
                self._changed.notify_all()
        else:
            part = say("Mail")
        if path.endswith("/responses"):
            return _events(_responses(part))
        if path.endswith("/chat/completions"):
            return _chat(part, is_stream=bool(body.get("stream")))
        content = _gemini(part)
        if "stream" in path:
            return _events([content])
        return "application/json", json.dumps(content)


def _events(contents: Iterable[object]) -> tuple[str, str]:
    return "text/event-stream", "".join(f"data: {json.dumps(each)}\n\n" for each in contents)


def _responses(part: Text | ToolCall) -> Iterable[object]:
    """Events of https://platform.openai.com/docs/api-reference/responses-streaming."""
    if isinstance(part, Text):
        text = [{"type": "output_text", "text": part.text}]
        item = {"type": "message", "role": "assistant", "id": "msg_1", "content": text}
    else:
        namespace, _, name = part.tool.rpartition(".")
        item = {"type": "function_call", "id": "fc_1", "call_id": f"call_{time.monotonic_ns()}"}
        item |= {"name": name, "arguments": json.dumps(part.arguments)}
        item |= {"namespace": namespace} if namespace else {}
    yield {"type": "response.created", "response": {"id": "resp_1"}}
    yield {"type": "response.output_item.done", "item": item}
    yield {"type": "response.completed", "response": {"id": "resp_1", "usage": _USAGE}}


def _chat(part: Text | ToolCall, *, is_stream: bool) -> tuple[str, str]:
    """https://platform.openai.com/docs/api-reference/chat."""
    message: dict[str, Any] = {"role": "assistant"}
    if isinstance(part, Text):
        message["content"] = part.text
    else:
        function = {"name": part.tool, "arguments": json.dumps(part.arguments)}
        call = {"index": 0, "id": f"call_{time.monotonic_ns()}", "type": "function"}
        message["tool_calls"] = [{**call, "function": function}]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    end = "stop" if isinstance(part, Text) else "tool_calls"
    whole = {"id": "c", "model": "scripted", "usage": usage}
    if not is_stream:
        choice = {"index": 0, "message": message, "finish_reason": end}
        return "application/json", json.dumps(
            {**whole, "object": "chat.completion", "choices": [choice]}
        )
    chunks = [
        {
            **whole,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in ((message, None), ({}, end))
    ]
    kind, text = _events(chunks)
    return kind, f"{text}data: [DONE]\n\n"


def _gemini(part: Text | ToolCall) -> object:
    """https://ai.google.dev/api/generate-content."""
    content: dict[str, Any]
    if isinstance(part, Text):
        content = {"text": part.text}
    else:
        content = {"functionCall": {"name": part.tool, "args": part.arguments}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    parts = {"role": "model", "parts": [content]}
    candidate = {"content": parts, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage}


def _handler(model: OtherModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            self._send(*model.answer(self.path.partition("?")[0], body))

        def do_GET(self) -> None:
            self._send("application/json", '{"object": "list", "data": [], "models": []}')

        def _send(self, kind: str, text: str) -> None:
            payload = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Log nothing: the model records the requests."""

    return Handler
