"""A scripted model: a Messages API on loopback whose answers come from a function.

A script is a function from `Request` to `say("text")`, `call("Tool", key=value)` or a list of
these. It runs in the thread of the request, so it may also wait for the test. Every request is
recorded with its time, so that tests can assert what the model was shown.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from e2e.harness.messages import (
    Request,
    Text,
    ToolCall,
    Turn,
    call,
    calls_tools,
    say,
    stream,
)
from e2e.harness.waiting import TIMEOUT

Script = Callable[[Request], Text | ToolCall | Turn]
NEWS_SHOWN = 800  # characters of each request that a failure quotes


class Model:
    """A scripted Messages API for one client, as a context manager.

    The client announces most tools by name only, and a model loads them with `ToolSearch` before
    it calls them. This class does so, so that scripts need not.

    Attributes:
        script: decides the answers; a test may replace it between turns.
        requests: the requests that had tools, in order.
        failures: the exceptions that the script raised.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.failures: list[Exception] = []
        self._changed = threading.Condition()
        self._turn_has_ended = True
        self._postponed: dict[tuple[str, str], Turn] = {}
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="model")

    def __enter__(self) -> "Model":
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

    def wait_for(self, text: str, *, after: int = 0) -> Request:
        """Return the first request, from number *after* on, that shows *text* as news.

        Raises:
            TimeoutError: if none comes, or the script fails; the message quotes what the model
                was shown.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failures or self._showing(text, after), TIMEOUT)
        found = self._showing(text, after)
        if found is None:
            seen = "\n---\n".join(request.news[-NEWS_SHOWN:] for request in self.requests[after:])
            message = f"The model was not shown {text!r}, but:\n{seen}\nFailures: {self.failures}"
            raise TimeoutError(message)
        return found

    def _showing(self, text: str, after: int) -> Request | None:
        return next((request for request in self.requests[after:] if text in request.news), None)

    def wait_until_turn_ends(self) -> None:
        """Wait until the last request was answered with text only, which ends the turn.

        Raises:
            TimeoutError: if the turn does not end.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._turn_has_ended, TIMEOUT):
                news = self.requests[-1].news[-NEWS_SHOWN:]
                message = f"The turn did not end within {TIMEOUT:g} s; the last news:\n{news}"
                raise TimeoutError(message)

    def answer(self, headers: Mapping[str, str], body: dict[str, Any]) -> str:
        """Record one request of the client and return the events that answer it."""
        request = Request.of(time.monotonic(), headers, body)
        if not request.tools:
            # Requests of the client itself, for example for a title of the session, have no tools.
            return stream("msg_aside", request, [say('{"title": "Mail"}')])
        with self._changed:
            self.requests.append(request)
            number = len(self.requests)
            self._turn_has_ended = False
            self._changed.notify_all()
        try:
            answer = self._run_script(request)
            events = stream(f"msg_{number}", request, answer)
        except Exception as failure:  # the test reports it, and the client goes on
            with self._changed:
                self.failures.append(failure)
            answer = [say(f"The script failed: {failure!r}")]
            events = stream(f"msg_{number}", request, answer)
        with self._changed:
            self._turn_has_ended = number == len(self.requests) and not calls_tools(answer)
            self._changed.notify_all()
        return events

    def _run_script(self, request: Request) -> Turn:
        conversation = (request.session, request.agent)
        postponed = self._postponed.pop(conversation, None)
        if postponed is not None:
            return postponed
        answer = self.script(request)
        parts = [answer] if isinstance(answer, Text | ToolCall) else answer
        wanted = [part.tool for part in parts if isinstance(part, ToolCall)]
        missing = [tool for tool in wanted if not request.tool(tool)]
        if not missing:
            return parts
        self._postponed[conversation] = parts
        return [call("ToolSearch", query=_search(request, missing))]


def _search(request: Request, tools: Sequence[str]) -> str:
    known = [name for tool in tools if (name := request.deferred_tool(tool))]
    if len(known) == len(tools):
        return f"select:{','.join(known)}"
    # The tools of a server that is still connecting are not announced yet. A search by words waits
    # for them; with "+" the first word, the server, is required.
    return f"+{' '.join(tools).replace('__', ' ')}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a client that is killed leaves broken connections."""


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            path = self.path.partition("?")[0]
            if path == "/v1/messages":
                self._send("text/event-stream", model.answer(self.headers, body))
            elif path == "/v1/messages/count_tokens":
                self._send("application/json", '{"input_tokens": 1000}')
            else:
                self._send("application/json", "{}")

        def do_GET(self) -> None:
            self._send("application/json", "{}")

        def do_HEAD(self) -> None:
            self._send("application/json", "")

        def _send(self, kind: str, text: str) -> None:
            payload = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Log nothing: the model records all requests."""

    return Handler
