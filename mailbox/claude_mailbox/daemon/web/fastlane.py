"""ASGI: a short cut around Quart for requests that match a route exactly.

Quart's path for a request (its context, request and response objects, signals, two tasks) costs
more than all that the broker does for a durable send. Requests that need none of that go straight
to the same verbs; everything else, such as an unknown route or a wrong method, is Quart's. And so
the daemon can answer before Quart is imported.
"""

from claude_mailbox.daemon.http.asgi import App, Receive, Scope, Send, send_error
from claude_mailbox.daemon.web.late import Late
from claude_mailbox.daemon.web.mail import Answer, Call, Verbs, surprise
from claude_mailbox.errors import MailboxError, MethodNotAllowed, NotFound


class FastLane:
    """Answers the verbs' routes itself and passes everything else on.

    Args:
        verbs: the verbs.
        rest: the application that knows the rest; requests for it wait until it is there.
    """

    def __init__(self, verbs: Verbs, rest: Late[App]) -> None:
        self._routes = verbs.routes
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope.get("method"), scope.get("path")
        verb = self._routes.get((method, path))  # type: ignore[arg-type]  # None finds nothing
        if method == "HEAD":
            await send_error(send, self._no_head(str(path)))
            return
        if verb is None:
            rest = await self._rest.get()
            await rest(scope, receive, send)
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

    def _no_head(self, path: str) -> MailboxError:
        """Refuse HEAD: frameworks run GET for it, which would take mail out and throw it away."""
        allowed = sorted(method for method, route in self._routes if route == path)
        if not allowed:
            return NotFound(f"There is no {path}: see the README for the routes.")
        methods = ", ".join(allowed)
        return MethodNotAllowed(f"HEAD is not for {path}: use {methods}.", methods)


async def _send_answer(send: Send, answer: Answer) -> None:
    headers = answer.headers
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
