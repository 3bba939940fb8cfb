"""Routes: a `Route` answers with JSON, a `MailRoute` may also deliver mail.

Claiming mail needs a `Custody`, which is responsible for it until it has arrived. Only the handler of
a `MailRoute` gets one, so no other route can deliver mail by mistake.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.network.grant import check_local
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.http.asgi import App
from claude_mailbox.errors import MailboxError


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, and their handler.

    Attributes:
        method: the HTTP method.
        path: the path, without parameters.
        handler: turns a request into a response, or raises.
        about: what it takes and answers; None if it is not REST.
        with_query: handles requests that have a query string, and may deliver mail; or None.
        is_local: whether only clients on this machine may use it.
    """

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    about: Description | None
    with_query: Callable[[Request, Custody], Awaitable[App]] | None = None
    is_local: bool = False

    def for_mail(self) -> "MailRoute | None":
        """Return the route for requests with a query string, or None."""
        if self.with_query is None:
            return None
        return MailRoute(self.method, self.path, self.with_query, self.about)

    async def respond(self, request: Request) -> Response:
        """Return the handler's response, or one for the error that it raised."""
        try:
            if self.is_local:
                check_local(request.scope)
            return await self.handler(request)
        except MailboxError as error:
            return Response.of_error(error)
        except Exception as error:  # the edge of one request
            return Response.of_bug(error, request.scope)


@dataclass(frozen=True, slots=True)
class MailRoute:
    """A route that may deliver mail, or that waits and must notice when its client leaves.

    Attributes:
        method: the HTTP method.
        path: the path, without parameters.
        handler: like a `Route`'s, with the custody of the response; it returns an ASGI application,
            such as a `Response`.
        about: what it takes and answers; None if it is not REST.
    """

    method: str
    path: str
    handler: Callable[[Request, Custody], Awaitable[App]]
    about: Description | None

    async def respond(self, request: Request, custody: Custody) -> App:
        """Return the handler's response, or one for the error that it raised."""
        try:
            return await self.handler(request, custody)
        except MailboxError as error:
            return Response.of_error(error)
        except Exception as error:  # the edge of one request
            return Response.of_bug(error, request.scope)
