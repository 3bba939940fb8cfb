"""ASGI middleware for other machines: only a request with a token gets to the application."""

from typing import Any

from claude_mailbox.daemon.edge.network.grant import GRANT_KEY
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


class Access:
    """Wraps the application, and puts the grant of its token into each request's scope.

    Args:
        app: the application.
        tokens: all tokens.
        behind_proxy: whether ``X-Forwarded-For`` has the client's address.
    """

    def __init__(self, app: App, tokens: Tokens, *, behind_proxy: bool) -> None:
        self._app = app
        self._tokens = tokens
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            grant = await self._tokens.grant(_bearer(scope), self._address(scope))
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
