"""HTTP/1 requests from bytes, with ``httptools``, the parser that uvicorn uses."""

from collections import deque
from itertools import islice

import httptools

from claude_mailbox.errors import BadRequest, MailboxError

_HEAD_LIMIT = 64 * 1024
# How far a client may run ahead of its responses, in requests and in bytes of their bodies.
_AHEAD_REQUESTS = 100
_AHEAD_BYTES = 1024 * 1024

_UPGRADE_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})


class HeadTooLarge(MailboxError):
    """The request's headers are over the limit."""

    code = "head-too-large"
    status = 431


class Request:
    """One request, as far as it has been parsed."""

    __slots__ = (
        "chunks",
        "headers",
        "is_complete",
        "keeps_alive",
        "method",
        "size",
        "target",
        "version",
    )

    def __init__(self) -> None:
        self.target = b""
        self.method = ""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.is_complete = False
        self.keeps_alive = True


class Parser:
    """Turns bytes into requests. The ``on_`` methods are called by httptools."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._growing = Request()
        self._head_bytes = 0
        self.requests: deque[Request] = deque()
        """Requests whose headers are complete, oldest first."""

    def feed(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises:
            BadRequest: if they are not HTTP.
            HeadTooLarge: if the headers never end.
        """
        was_in_head = self._is_in_head()
        before, size = len(self.requests), len(data)
        try:
            while data:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            raise BadRequest(f"The request is not valid HTTP: {error}.") from None
        if was_in_head and len(self.requests) == before:
            self._head_bytes += size
        else:
            self._head_bytes = 0
        if self._head_bytes > _HEAD_LIMIT:
            raise HeadTooLarge(f"The headers are larger than {_HEAD_LIMIT} bytes.")

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Take back the last request, which asks for another protocol; return what to parse next.

        A server may ignore ``Upgrade`` (RFC 9110, 7.8). httptools cannot: it stops, and counts
        even the request's body to the other protocol. So the request is parsed once more without
        the headers that ask, and *rest* after it.
        """
        request = self.requests[-1]
        headers = [pair for pair in request.headers if pair[0] not in _UPGRADE_HEADERS]
        if len(headers) == len(request.headers):  # CONNECT: what follows is not for us
            request.keeps_alive = False
            return b""
        if not request.keeps_alive:
            headers.append((b"connection", b"close"))
        self.requests.pop()
        self._parser = httptools.HttpRequestParser(self)
        lines = [
            b"%b %b HTTP/%b" % (request.method.encode(), request.target, request.version.encode()),
            *(b"%b: %b" % pair for pair in headers),
        ]
        return b"\r\n".join([*lines, b"", b""]) + rest

    @property
    def is_far_ahead(self) -> bool:
        """Whether nothing more should be read before the first request is answered."""
        ahead = islice(self.requests, 1, None)
        return (
            len(self.requests) > _AHEAD_REQUESTS or sum(each.size for each in ahead) > _AHEAD_BYTES
        )

    def _is_in_head(self) -> bool:
        return not self.requests or self.requests[-1].is_complete

    def on_message_begin(self) -> None:
        self._growing = Request()

    def on_url(self, url: bytes) -> None:
        self._growing.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._growing.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._growing.method = self._parser.get_method().decode("ascii")
        self._growing.version = self._parser.get_http_version()
        self._growing.keeps_alive = self._parser.should_keep_alive()
        self.requests.append(self._growing)

    def on_body(self, body: bytes) -> None:
        self._growing.chunks.append(body)
        self._growing.size += len(body)

    def on_message_complete(self) -> None:
        self._growing.is_complete = True
