"""The application: a `QuartTrio` with all routes, and the guard around it.

Quart handles what needs its request context: unknown paths, wrong methods, OPTIONS, HEAD, and pages.
Plain handlers do not need it, and it would take longer than all the rest of a durable send. So the
connection class calls them directly, by a dict that is made from Quart's own table of routes at the
start. Without that dict all answers would be the same, only slower.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, cast

from quart import Blueprint
from quart import Response as QuartResponse
from quart import request as quart_request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException

from claude_mailbox.daemon.edge.guard import Guard
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.handover import CUSTODY_KEY, Custody, Handover
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import MailRoute, Route
from claude_mailbox.daemon.http.asgi import App, Receive, Scope, Send
from claude_mailbox.errors import BadRequest, MailboxError
from claude_mailbox.refusals import MethodNotAllowed, NotFound


class MailboxApp(QuartTrio):
    """The application.

    Args:
        routes: REST and MCP.
        pages: the pages of the inbox.
        handover: settles and releases the mail in responses.
        hosts: allowed host names, besides the loopback ones.
        max_body_bytes: limit of one message.
    """

    def __init__(
        self,
        routes: Iterable[Route | MailRoute],
        pages: Blueprint,
        handover: Handover,
        *,
        hosts: Collection[str],
        max_body_bytes: int,
    ) -> None:
        super().__init__("claude_mailbox")
        self.handover = handover
        self._guard = Guard(cast("App", self.asgi_app), hosts, max_body_bytes)
        # The guard limits the size of bodies, and the time that they may take.
        self.config["MAX_CONTENT_LENGTH"] = None
        # Each route has one spelling.
        self.url_map.strict_slashes = True
        self.url_map.merge_slashes = False
        self.asgi_http_class = _Connection
        self.register_error_handler(HTTPException, _on_http_error)
        self.register_error_handler(MailboxError, _on_mailbox_error)
        self.register_error_handler(Exception, _on_bug)
        for route in routes:
            self.add_url_rule(route.path, view_func=_view(route), methods=[route.method])
        self.register_blueprint(pages)
        self.plain_routes = self._find_plain_routes()
        self.routes_with_query = {
            target: for_mail
            for target, route in self.plain_routes.items()
            if isinstance(route, Route) and (for_mail := route.for_mail()) is not None
        }
        self.mail_pages = {
            rule.rule
            for rule in self.url_map.iter_rules()
            if getattr(self.view_functions[rule.endpoint], "carries_mail", False)
        }

    def _find_plain_routes(self) -> dict[tuple[str, str], Route | MailRoute]:
        """Return the routes in Quart's table, by method and path."""
        found = {}
        for rule in self.url_map.iter_rules():
            route = getattr(self.view_functions[rule.endpoint], "route", None)
            if isinstance(route, MailRoute) and rule.methods is not None:
                # Werkzeug adds HEAD to GET, and a HEAD would take mail that nobody gets.
                rule.methods.discard("HEAD")
            if isinstance(route, Route | MailRoute):
                found[route.method, rule.rule] = route
        return found

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request of any ASGI server; the guard comes first."""
        await self._guard(scope, receive, send)


def _view(route: Route | MailRoute) -> Callable[[], Awaitable[QuartResponse]]:
    """Return the view of a route, for Quart."""

    async def view() -> QuartResponse:
        if isinstance(route, MailRoute):
            raise RuntimeError("only the connection class may call a route that delivers mail")
        scope = cast("Scope", quart_request.scope)
        body = cast("bytes", await quart_request.get_data(as_text=False))
        return _to_quart(await route.respond(Request(scope, body)))

    view.__name__ = f"{route.method} {route.path}"
    view.route = route  # type: ignore[attr-defined]
    return view


class _Connection(TrioASGIHTTPConnection):
    """Handles one request in the server's task. The guard has joined its body into one message."""

    app: MailboxApp
    scope: Any

    async def __call__(self, receive: Any, send: Any) -> None:
        target = self.scope["method"], self.scope["path"]
        route = self.app.plain_routes.get(target)
        if self.scope["query_string"]:
            route = self.app.routes_with_query.get(target, route)
        if isinstance(route, MailRoute):

            async def handle(custody: Custody, receive: Receive, send: Send) -> None:
                await self._hand_out(route, custody, receive, send)

            await self.app.handover.run(handle, self.scope, receive, send)
            return
        if self.scope["path"] in self.app.mail_pages:
            await self.app.handover.run(self._show_page, self.scope, receive, send)
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body: bytes = message.get("body", b"")
        if route is not None:
            response = await route.respond(Request(self.scope, body))
            await response(self.scope, receive, send)
            return
        await self._ask_quart(body, send)

    async def _ask_quart(self, body: bytes, send: Any) -> None:
        request = self._create_request_from_scope(send)
        request.body.append(body)
        request.body.set_complete()
        await self._send_response(send, await self.app.handle_request(request))

    async def _show_page(self, custody: Custody, receive: Receive, send: Send) -> None:
        """Answer with a page that may deliver mail."""
        message = await receive()
        self.scope[CUSTODY_KEY] = custody
        await self._ask_quart(message.get("body", b""), send)

    async def _hand_out(
        self, route: MailRoute, custody: Custody, receive: Receive, send: Send
    ) -> None:
        message = await receive()
        request = Request(self.scope, message.get("body", b""))
        response = await route.respond(request, custody)
        await response(self.scope, receive, send)


def _to_quart(response: Response) -> QuartResponse:
    # Bytes, not None: Quart would look for an asyncio loop to send an empty iterator.
    answer = QuartResponse(response.body, status=response.status)
    del answer.headers["Content-Type"]
    for key, value in response.headers:
        answer.headers[key.decode()] = value.decode()
    return answer


async def _on_mailbox_error(error: MailboxError) -> QuartResponse:
    return _to_quart(Response.of_error(error))


async def _on_bug(error: Exception) -> QuartResponse:
    return _to_quart(Response.of_bug(error, cast("Scope", quart_request.scope)))


async def _on_http_error(error: HTTPException) -> QuartResponse:
    path, method = quart_request.path, quart_request.method
    if error.code == NotFound.status:
        return _to_quart(
            Response.of_error(NotFound(f"There is no {path}: docs/rest.md has the routes."))
        )
    if error.code == MethodNotAllowed.status:
        allowed = sorted(getattr(error, "valid_methods", None) or ())
        useful = ", ".join(each for each in allowed if each not in {"HEAD", "OPTIONS"})
        sentence = f"{method} is not for {path}: use {useful}."
        return _to_quart(Response.of_error(MethodNotAllowed(sentence, ", ".join(allowed))))
    return _to_quart(
        Response.of_error(BadRequest(f"The request is malformed: {error.description}"))
    )
