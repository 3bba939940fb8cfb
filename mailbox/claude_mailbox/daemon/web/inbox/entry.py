"""REST routes only for the person at this machine, because they show all mail.

They answer on the Unix socket, which only our user can reach. On TCP the request has to prove that it
can read the secret in the home folder. On another machine the person has a token for the mailbox of the
user, which opens the inbox.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, NotRequired, TypedDict

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.network.grant import grant_of
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import history_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.http.asgi import headers_named, is_local_socket
from claude_mailbox.daemon.web.fields import optional_text, whole
from claude_mailbox.daemon.web.inbox.access import TICKET_SECONDS, InboxAccess
from claude_mailbox.errors import Unavailable
from claude_mailbox.model.history import HISTORY_DEFAULT, HISTORY_LIMIT
from claude_mailbox.refusals import Forbidden

# Makes the proof differ from those that `/v1/identity` gives to anybody.
PROOF_PREFIX = "inbox:"
# Most characters of each body in the answer.
EXCERPT = 2_000


class ProofFields(TypedDict):
    """On TCP: proof that the caller can read the secret in the home folder."""

    nonce: NotRequired[str]
    proof: NotRequired[str]


class RecentBody(ProofFields):
    """Which messages to return: those with numbers above ``after``."""

    after: NotRequired[Annotated[int | None, Keywords(minimum=0, maximum=2**63 - 1)]]
    limit: NotRequired[Annotated[int | None, Keywords(minimum=1, maximum=HISTORY_LIMIT)]]


class InboxAddress(TypedDict):
    """A one-time address of the inbox, and for how many seconds it is valid."""

    url: str
    seconds: int


_INBOX = Description(
    "Make a one-time address of the web inbox", InboxAddress, body=ProofFields, errors=(Forbidden,)
)
_RECENT = Description(
    "The newest messages of all mailboxes, oldest first",
    list[shapes.HistoryEntry],
    body=RecentBody,
    errors=(Forbidden,),
)


class EntryRoutes:
    """The routes ``/v1/inbox`` and ``/v1/recent``.

    Args:
        broker: has the messages.
        access: makes tickets.
        address: returns the daemon's address on TCP, or None while it has none.
        prove: returns the proof for a nonce and a port.
    """

    def __init__(
        self,
        broker: Broker,
        access: InboxAccess,
        address: Callable[[], str | None],
        prove: Callable[[str, int], str],
    ) -> None:
        self._broker = broker
        self._access = access
        self._address = address
        self._prove = prove

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("POST", "/v1/inbox", self._enter, _INBOX),
            Route("POST", "/v1/recent", self._recent, _RECENT, is_local=True),
        )

    async def _enter(self, request: Request) -> Response:
        grant = grant_of(request.scope)
        if grant is not None:
            grant.check_inbox(self._broker.user)
            (host,) = headers_named(request.scope, b"host")
            return self._ticket(f"https://{host.decode('latin-1')}", grant.token)
        self._content(request)
        address = self._address()
        if address is None:
            raise Unavailable(
                "The daemon has no TCP port now, so a browser cannot reach it: see 'claude-mailbox"
                " doctor'."
            )
        return self._ticket(address)

    def _ticket(self, address: str, token: str = "") -> Response:
        url = f"{address}/inbox/enter?ticket={self._access.create_ticket(token)}"
        return Response({"url": url, "seconds": TICKET_SECONDS})

    async def _recent(self, request: Request) -> Response:
        content = self._content(request)
        page = await self._broker.history.recent(
            after=whole(content, "after"),
            limit=whole(content, "limit", HISTORY_DEFAULT, 1, HISTORY_LIMIT),
            excerpt=EXCERPT,
        )
        return Response([history_json(entry) for entry in page.entries[::-1]])

    def _content(self, request: Request) -> Mapping[str, object]:
        """Return the fields of the request, after checking that it comes from the person.

        Raises:
            Forbidden: if it is on TCP and without proof.
        """
        content = request.json() if request.body else {}
        if is_local_socket(request.scope):
            return content
        nonce, proof = optional_text(content, "nonce") or "", optional_text(content, "proof") or ""
        _, port = request.scope.get("server") or ("", 0)
        expected = self._prove(PROOF_PREFIX + nonce, port or 0)
        if not nonce or not hmac.compare_digest(proof.encode(), expected.encode()):
            raise Forbidden(
                "This is for the person at this machine, on the Unix socket alone: use the commands"
                " 'claude-mailbox inbox' and 'claude-mailbox top'."
            )
        return content
