"""ASGI middleware for other machines: only a request with a token gets to the application.

A browser sends no token. It gets to the pages of the inbox with a cookie, for which somebody has shown
a token; and the page at which it gets that cookie shows no mail.
"""

from collections.abc import Callable
from typing import Any

from claude_mailbox.daemon.edge.network.grant import GRANT_KEY, Grant
from claude_mailbox.daemon.edge.network.tokens import Tokens
from claude_mailbox.daemon.http.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    headers_named,
    send_error,
)
from claude_mailbox.errors import MailboxError
from claude_mailbox.refusals import TokenInvalid, Unauthorized

_SCHEME = "bearer"
_FIRST_PAGE, _PAGES = "/", "/inbox/"
_OPEN_PAGES = ("/inbox/enter", "/inbox/static/")
# Of a browser that has no cookie yet.
_NOTHING = Grant("", (), 2**53)


class Access:
    """Wraps the application, and puts the grant of its token into each request's scope.

    Args:
        app: the application.
        tokens: all tokens.
        cookie_token: returns the id of the token for which a request's cookie was made, or None.
        behind_proxy: whether ``X-Forwarded-For`` has the client's address.
    """

    def __init__(
        self,
        app: App,
        tokens: Tokens,
        cookie_token: Callable[[Scope], str | None],
        *,
        behind_proxy: bool,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._cookie_token = cookie_token
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            grant = await self._grant(scope)
        except MailboxError as error:
            await send_error(send, error, close=scope["http_version"] != "2")
            return
        scope[GRANT_KEY] = grant
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        with self._tokens.using(grant) as cancel_scope:
            await self._app(scope, receive, send_and_note)
        if cancel_scope.cancelled_caught and not has_begun:
            await send_error(
                send, TokenInvalid("The token has expired or was revoked: ask for another one.")
            )

    async def _grant(self, scope: Scope) -> Grant:
        path: str = scope["path"]
        is_page = path == _FIRST_PAGE or path.startswith(_PAGES)
        if is_page and not headers_named(scope, b"authorization"):
            token_id = self._cookie_token(scope)
            if token_id is not None:
                return await self._tokens.renew(token_id)
            if path.startswith(_OPEN_PAGES):
                return _NOTHING
        return await self._tokens.grant(_bearer(scope), self._address(scope))

    def _address(self, scope: Scope) -> str:
        """Return the client's address; behind a proxy the last one, which the proxy has added."""
        if self._behind_proxy:
            forwarded = headers_named(scope, b"x-forwarded-for")
            if forwarded:
                return forwarded[-1].decode("latin-1").rpartition(",")[2].strip()
        client: Any = scope.get("client")
        return str(client[0]) if client else ""


def _bearer(scope: Scope) -> str:
    """Return the token of a request.

    Raises:
        Unauthorized: if there is none.
    """
    values = headers_named(scope, b"authorization")
    if len(values) == 1:
        scheme, _, token = values[0].decode("latin-1").partition(" ")
        if scheme.lower() == _SCHEME and token.strip():
            return token.strip()
    raise Unauthorized(
        "A token is needed, which 'claude-mailbox token create' makes on the daemon's machine: send"
        " it as 'Authorization: Bearer <token>', or let commands take it from"
        " CLAUDE_MAILBOX_TOKEN."
    )
