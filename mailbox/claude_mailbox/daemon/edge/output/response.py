"""A response with JSON, text, or no body."""

import logging
from collections.abc import Iterable

from claude_mailbox.daemon.edge.output.render import compact
from claude_mailbox.daemon.http.asgi import (
    JSON_TYPE,
    Receive,
    Scope,
    Send,
    error_body,
    error_headers,
)
from claude_mailbox.errors import MailboxError

logger = logging.getLogger(__name__)

Header = tuple[bytes, bytes]


class Response:
    """A response, which is an ASGI application that sends itself."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, content: object = None, *, status: int = 200, headers: Iterable[Header] = ()
    ) -> None:
        self.status = status
        self.headers: list[Header] = list(headers)
        self.body = b""
        if content is not None:
            self.body = compact(content)
            self.headers.append((b"content-type", JSON_TYPE))
        if status != 204:
            self.headers.append((b"content-length", str(len(self.body)).encode()))

    @classmethod
    def of_text(cls, body: bytes, media_type: str) -> "Response":
        """Return a response with a body that is not JSON."""
        response = cls(headers=[(b"content-type", media_type.encode())])
        response.body = body
        response.headers[-1] = (b"content-length", str(len(body)).encode())
        return response

    @classmethod
    def of_error(cls, error: MailboxError) -> "Response":
        """Return the response for an error."""
        return cls(error_body(error), status=error.status, headers=error_headers(error))

    @classmethod
    def of_bug(cls, error: Exception, scope: Scope) -> "Response":
        """Log an unexpected error with its traceback; return a response for it."""
        logger.error("unexpected error in %s %s", scope["method"], scope["path"], exc_info=error)
        sentence = "The daemon has a bug here: its log says more. Try again."
        return cls.of_error(MailboxError(sentence))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
