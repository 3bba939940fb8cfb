"""What a route is. A route of `MailRoute` hands out mail, and no other can.

Mail is claimed only for somebody who answers for it until it has arrived. That is the request's
`Custody`, which the handler of a `MailRoute` is given, and no other handler.
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
    """A method and path, and what answers them.

    Attributes:
        method: the HTTP method.
        path: the path, without parameters.
        handler: turns a request into a response; its errors become responses, too.
        about: what it takes and answers; None for what is not REST.
        with_query: answers requests that have a query, whose response may carry mail; or None.
        is_local: whether clients on other machines must not use it.
    """

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    about: Description | None
    with_query: Callable[[Request, Custody], Awaitable[App]] | None = None
    is_local: bool = False

    def for_mail(self) -> "MailRoute | None":
        """Return the route of requests that have a query, or None."""
        if self.with_query is None:
            return None
        return MailRoute(self.method, self.path, self.with_query, self.about)

    async def respond(self, request: Request) -> Response:
        """Return the response, which tells of the error if there was one."""
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
    """A route whose response carries mail, or that waits and has to notice when its client leaves.

    Attributes:
        method: the HTTP method.
        path: the path, without parameters.
        handler: as that of a `Route`, with the custody of what it hands out; its response is an
            ASGI application, such as a `Response`.
        about: what it takes and answers; None for what is not REST.
    """

    method: str
    path: str
    handler: Callable[[Request, Custody], Awaitable[App]]
    about: Description | None

    async def respond(self, request: Request, custody: Custody) -> App:
        """Return the response, which tells of the error if there was one."""
        try:
            return await self.handler(request, custody)
        except MailboxError as error:
            return Response.of_error(error)
        except Exception as error:  # the edge of one request
            return Response.of_bug(error, request.scope)
