"""The REST route that makes a one-time address of the inbox, for the command line.

It answers on the Unix socket, which only the user of this machine can reach. Where there is none,
the request has to prove that it can read the secret in the home folder.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import NotRequired, TypedDict

from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.request import Request
from claude_mailbox.daemon.edge.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.http.asgi import is_local_socket
from claude_mailbox.daemon.web.fields import optional_text
from claude_mailbox.daemon.web.inbox.access import TICKET_SECONDS, Access
from claude_mailbox.errors import Forbidden, Unavailable

# Not a nonce that `/v1/identity` would answer.
PROOF_PREFIX = "inbox:"


class InboxBody(TypedDict):
    """On TCP: proof that the caller can read the secret in the home folder."""

    nonce: NotRequired[str]
    proof: NotRequired[str]


class InboxAddress(TypedDict):
    """A one-time address of the inbox, and for how many seconds it is good."""

    url: str
    seconds: int


_INBOX = Description(
    "Make a one-time address of the web inbox", InboxAddress, body=InboxBody, errors=(Forbidden,)
)


class EntryRoutes:
    """The route.

    Args:
        access: makes the tickets.
        address: returns the daemon's address on TCP, or None while it has none.
        prove: returns the proof for a nonce and a port.
    """

    def __init__(
        self,
        access: Access,
        address: Callable[[], str | None],
        prove: Callable[[str, int], str],
    ) -> None:
        self._access = access
        self._address = address
        self._prove = prove

    def routes(self) -> Iterable[Route]:
        """Return it."""
        return (Route("POST", "/v1/inbox", self._enter, _INBOX),)

    async def _enter(self, request: Request) -> Response:
        if not is_local_socket(request.scope) and not self._is_proved(request):
            raise Forbidden(
                "Addresses of the inbox are made on the Unix socket alone: run 'claude-mailbox"
                " inbox'."
            )
        address = self._address()
        if address is None:
            raise Unavailable(
                "The daemon has no TCP port now, so a browser cannot reach it: see 'claude-mailbox"
                " doctor'."
            )
        url = f"{address}/inbox/enter?ticket={self._access.create_ticket()}"
        return Response({"url": url, "seconds": TICKET_SECONDS})

    def _is_proved(self, request: Request) -> bool:
        if not request.body:
            return False
        content = request.json()
        nonce, proof = optional_text(content, "nonce") or "", optional_text(content, "proof") or ""
        _, port = request.scope.get("server") or ("", 0)
        expected = self._prove(PROOF_PREFIX + nonce, port or 0)
        return bool(nonce) and hmac.compare_digest(proof.encode(), expected.encode())
