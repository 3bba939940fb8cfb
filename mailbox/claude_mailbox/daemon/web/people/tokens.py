"""The REST routes of tokens, which answer only on the Unix socket."""

import math
from collections.abc import Iterable
from typing import Annotated, NotRequired, TypedDict

from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.request import Request, in_range
from claude_mailbox.daemon.edge.network.tokens import Tokens
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import token_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.http.asgi import CONNECTION_KEY
from claude_mailbox.daemon.web.fields import Text, text
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.tokens import (
    DAY_MILLISECONDS,
    DAYS_DEFAULT,
    DAYS_LIMIT,
    PATTERNS_LIMIT,
    check_patterns,
)
from claude_mailbox.refusals import Forbidden, NotFound

_Pattern = Annotated[str, Keywords(minLength=1)]


class CreateBody(TypedDict):
    """The mailboxes of the token's owner, and for how many days it is valid."""

    mailboxes: Annotated[list[_Pattern], Keywords(minItems=1, maxItems=PATTERNS_LIMIT)]
    days: NotRequired[Annotated[float, Keywords(exclusiveMinimum=0, maximum=DAYS_LIMIT)]]


class TokenQuery(TypedDict):
    """The token's id."""

    id: Text


_CREATE = Description("Make a token", shapes.NewToken, body=CreateBody)
_LIST = Description("List the tokens", list[shapes.Token])
_REVOKE = Description("Revoke a token", shapes.Revoked, query=TokenQuery, errors=(NotFound,))


class TokenRoutes:
    """The routes of tokens.

    Args:
        tokens: makes, lists and revokes them.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("POST", "/v1/tokens", self._create, _CREATE),
            Route("GET", "/v1/tokens", self._list, _LIST),
            Route("DELETE", "/v1/tokens", self._revoke, _REVOKE),
        )

    async def _create(self, request: Request) -> Response:
        _check_way(request)
        content = request.json()
        patterns = check_patterns(content.get("mailboxes"), "mailboxes")
        days = content.get("days", DAYS_DEFAULT)
        if isinstance(days, bool) or not isinstance(days, int | float) or days != days:
            raise BadRequest("'days' must be a number.")
        in_range("days", days, math.ulp(0.0), DAYS_LIMIT)
        token, secret = await self._tokens.create(patterns, int(days * DAY_MILLISECONDS))
        return Response({**token_json(token), "token": secret})

    async def _list(self, request: Request) -> Response:
        _check_way(request)
        return Response([token_json(token) for token in await self._tokens.all()])

    async def _revoke(self, request: Request) -> Response:
        _check_way(request)
        token_id = text({"id": request.parameter("id")}, "id")
        if not await self._tokens.revoke(token_id):
            raise NotFound(f"There is no token {token_id}: 'claude-mailbox token list' shows all.")
        return Response({"revoked": token_id})


def _check_way(request: Request) -> None:
    """Check that the request came over the Unix socket, which only its owner can reach.

    Raises:
        Forbidden: if it came by TCP.
    """
    if CONNECTION_KEY not in request.scope or request.scope["server"] is not None:
        raise Forbidden(
            "Tokens are made, listed and revoked over the Unix socket alone: run 'claude-mailbox"
            " token' on the daemon's machine."
        )
