"""The model's part in the play: a Messages API on loopback whose answers come from a script.

A script is a function from `Request` to `say("text")`, `call("Tool", key=value)` or a list of
such. It runs in the request's own thread, so it may also wait for the test. Every request is kept
with its time: what the model was shown, and when, is what the tests assert on.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from e2e.harness.messages import Answer, Call, Request, Say, call, calls_tools, say, stream
from e2e.harness.waiting import PATIENCE

Script = Callable[[Request], Say | Call | Answer]
NEWS_SHOWN = 800  # characters of each request that a failure quotes


class Model:
    """A scripted Messages API for one client, as a context manager.

    The client announces most tools by name only, and a model loads them with `ToolSearch` before
    it calls them. This one does that by itself, so that scripts need not.

    Attributes:
        script: decides the answers; a test may replace it between turns.
        requests: the requests that had tools, in order.
        failures: what the script raised; whoever made the model has to look.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.failures: list[Exception] = []
        self._changed = threading.Condition()
        self._settled = True
        self._postponed: dict[tuple[str, str], Answer] = {}
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
            TimeoutError: if none comes, or a script failed; the message quotes what the model
                was shown instead.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failures or self._showing(text, after), PATIENCE)
        found = self._showing(text, after)
        if found is None:
            seen = "\n---\n".join(request.news[-NEWS_SHOWN:] for request in self.requests[after:])
            message = f"The model was not shown {text!r}, but:\n{seen}\nFailures: {self.failures}"
            raise TimeoutError(message)
        return found

    def _showing(self, text: str, after: int) -> Request | None:
        return next((request for request in self.requests[after:] if text in request.news), None)

    def wait_settled(self) -> None:
        """Wait until the newest request was answered in words only, which ends a turn.

        Raises:
            TimeoutError: if the model is still at it.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._settled, PATIENCE):
                news = self.requests[-1].news[-NEWS_SHOWN:]
                message = f"The model was not done within {PATIENCE:g} s; its last news:\n{news}"
                raise TimeoutError(message)

    def answer(self, headers: Mapping[str, str], body: dict[str, Any]) -> str:
        """Record one request of the client and return the events that answer it."""
        request = Request.of(time.monotonic(), headers, body)
        if not request.tools:
            # The client's own errands, such as a title for the session, have no tools.
            return stream("msg_aside", request, [say('{"title": "Mail"}')])
        with self._changed:
            self.requests.append(request)
            number = len(self.requests)
            self._settled = False
            self._changed.notify_all()
        try:
            answer = self._play(request)
            events = stream(f"msg_{number}", request, answer)
        except Exception as failure:  # a script's mistake is reported, and the client goes on
            with self._changed:
                self.failures.append(failure)
            answer = [say(f"The script failed: {failure!r}")]
            events = stream(f"msg_{number}", request, answer)
        with self._changed:
            self._settled = number == len(self.requests) and not calls_tools(answer)
            self._changed.notify_all()
        return events

    def _play(self, request: Request) -> Answer:
        speaker = (request.session, request.agent)
        postponed = self._postponed.pop(speaker, None)
        if postponed is not None:
            return postponed
        answer = self.script(request)
        parts = [answer] if isinstance(answer, Say | Call) else answer
        wanted = [part.tool for part in parts if isinstance(part, Call)]
        missing = [tool for tool in wanted if not request.tool(tool)]
        if not missing:
            return parts
        self._postponed[speaker] = parts
        return [call("ToolSearch", query=_search(request, missing))]


def _search(request: Request, tools: Sequence[str]) -> str:
    known = [name for tool in tools if (name := request.deferred_tool(tool))]
    if len(known) == len(tools):
        return f"select:{','.join(known)}"
    # A tool of a server that still connects has no name yet. A search by words waits for it;
    # "+" makes the first word, the server, a must.
    return f"+{' '.join(tools).replace('__', ' ')}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that was killed leaves broken connections behind."""


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
            """Say nothing: the record is in the model."""

    return Handler
