"""The blueprint of the pages: access, security headers, and static files."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

from quart import Blueprint, Response, g, request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.network.grant import grant_of
from claude_mailbox.daemon.web.inbox.access import COOKIE_SECONDS, InboxAccess
from claude_mailbox.daemon.web.inbox.held import HeldPages
from claude_mailbox.daemon.web.inbox.rendering import TYPES, Renderer, static_files
from claude_mailbox.daemon.web.inbox.views import Views
from claude_mailbox.daemon.web.inbox.writing import Writing
from claude_mailbox.errors import MailboxError
from claude_mailbox.refusals import Forbidden, NotFound

# Nothing from other hosts, nothing inline, no frames, and forms only to us.
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": with that, browsers send forms with the Origin "null".
    "Referrer-Policy": "same-origin",
}


class Pages:
    """The pages.

    Args:
        broker: what they show and do.
        access: checks cookies and tokens.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, broker: Broker, access: InboxAccess, clock: Callable[[], int]) -> None:
        self._broker = broker
        self._access = access
        self._render = Renderer(broker, access, clock)

    def blueprint(self) -> Blueprint:
        """Return the pages as a blueprint of the application."""
        pages = Blueprint("inbox", __name__)
        pages.before_request(self._let_in)
        pages.after_request(_secure)
        pages.register_error_handler(MailboxError, self._on_error)
        writing, held = Writing(self._broker, self._render), HeldPages(self._broker, self._render)
        looks: tuple[tuple[str, Callable[..., Awaitable[Any]]], ...] = (
            *Views(self._broker, self._render).views(),
            ("/inbox/enter", self._enter),
            ("/inbox/static/<name>", _static),
            ("/inbox/held", held.held),
            ("/inbox/write", writing.write),
        )
        for path, view in looks:
            pages.add_url_rule(path, view.__name__.strip("_"), view, methods=["GET"])
        pages.add_url_rule("/inbox/held", "release", held.release, methods=["POST"])
        pages.add_url_rule("/inbox/write", "send", writing.send, methods=["POST"])
        return pages

    async def _let_in(self) -> Response | None:
        if request.endpoint in {"inbox.static", "inbox.enter"}:
            return None
        g.cookie = self._access.cookie_of(cast("Any", request.scope))
        if g.cookie is None:
            return Response(await self._render("entry.html"), status=403)
        # A page at another port of this host may send our cookie, but never a form's token.
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} and (
            request.method != "GET" or request.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise Forbidden("Pages of other sites have no access to the inbox.")
        if request.method == "POST":
            body = cast("bytes", await request.get_data(as_text=False))
            fields = parse_qs(body.decode(errors="replace"), max_num_fields=20)
            g.form = {key: values[-1] for key, values in fields.items()}
            if not self._access.is_form_token(g.form.get("token", ""), g.cookie):
                raise Forbidden("The form is too old: go back, reload the page, and send again.")
        return None

    async def _on_error(self, error: MailboxError) -> Response:
        return Response(await self._render("error.html", error=error), status=error.status)

    async def _enter(self) -> Response:
        """Exchange a ticket for a cookie.

        The page refreshes itself: after a redirect the request would count as coming from another
        site, and the browser would not send the cookie.
        """
        if request.method == "HEAD":
            return Response("")
        value = self._access.redeem(request.args.get("ticket", ""))
        if value is None:
            return Response(await self._render("entry.html", is_used=True), status=403)
        response = Response(await self._render("entered.html"))
        response.headers["Refresh"] = "0; url=/"
        response.set_cookie(
            self._access.cookie_name,
            value,
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=grant_of(cast("Any", request.scope)) is not None,
            samesite="Strict",
        )
        return response


async def _secure(response: Response) -> Response:
    for key, value in _SECURITY.items():
        response.headers[key] = value
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


async def _static(name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise NotFound(f"There is no file '{name}'.")
    response = Response(found, content_type=TYPES[Path(name).suffix])
    response.headers["Cache-Control"] = "max-age=31536000, immutable"
    return response
