"""ASGI: a short cut around Quart for requests that match a route exactly.

Quart's path for a request (its context, request and response objects, signals, two tasks) costs
more than all that the office does for a durable send. Requests that need none of that go straight
to the same verbs; everything else, such as an unknown route or a wrong method, is Quart's. And so
the daemon can answer before Quart is imported.
"""

from collections.abc import Callable

import trio

from claude_mailbox.daemon.asgi import App, Receive, Scope, Send, end_last
from claude_mailbox.daemon.verbs import Answer, Call, Verbs, surprise
from claude_mailbox.errors import MailboxError


class FastLane:
    """Answers the verbs' routes itself and passes everything else on.

    Args:
        verbs: the verbs.
        build_rest: imports and builds the application that knows the rest; it takes its time.
    """

    def __init__(self, verbs: Verbs, build_rest: Callable[[], App]) -> None:
        self._routes = verbs.routes
        self._build_rest = build_rest
        self._rest: App | None = None
        self._is_built = trio.Event()

    async def build(self) -> None:
        """Build the rest, on a thread; requests for it wait until then."""
        app = await trio.to_thread.run_sync(self._build_rest, abandon_on_cancel=True)
        self._rest = end_last(app)
        self._is_built.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope.get("method"), scope.get("path")
        verb = self._routes.get((method, path))  # type: ignore[arg-type]  # None finds nothing
        if verb is None:
            await self._is_built.wait()
            assert self._rest is not None  # noqa: S101  # set before the event
            await self._rest(scope, receive, send)
            return
        # The guard has put the body together, so the first message is all of it.
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        try:
            answer = await verb(Call(scope, message.get("body", b"")))
        except MailboxError as error:
            answer = Answer.of_error(error)
        except Exception as error:  # the edge of one request
            answer = surprise(error, scope["method"], scope["path"])
        await _send_answer(send, answer)


async def _send_answer(send: Send, answer: Answer) -> None:
    headers = answer.headers
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
