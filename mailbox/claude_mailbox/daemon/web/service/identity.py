"""The REST route with which the daemon proves to clients on TCP that it has their home folder."""

from collections.abc import Callable, Iterable
from typing import Annotated, TypedDict

from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.errors import BadRequest

_NONCE_LIMIT = 200


class IdentityQuery(TypedDict):
    """Random letters and digits."""

    nonce: Annotated[str, Keywords(minLength=16, maxLength=_NONCE_LIMIT, pattern="^[0-9A-Za-z]+$")]


_IDENTITY = Description(
    "Prove that this daemon can read the secret of its home", shapes.Proof, query=IdentityQuery
)


class IdentityRoutes:
    """The route.

    Args:
        prove: returns the proof for a nonce and a port.
    """

    def __init__(self, prove: Callable[[str, int], str]) -> None:
        self._prove = prove

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        return (Route("GET", "/v1/identity", self._identify, _IDENTITY, is_local=True),)

    async def _identify(self, request: Request) -> Response:
        nonce = request.parameter("nonce") or ""
        if not 16 <= len(nonce) <= _NONCE_LIMIT or not (nonce.isascii() and nonce.isalnum()):
            raise BadRequest("'nonce' must be 16 to 200 letters and digits.")
        _, port = request.scope.get("server") or ("", 0)
        return Response({"proof": self._prove(nonce, port or 0)})
