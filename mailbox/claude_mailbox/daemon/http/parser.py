"""HTTP/1 requests from bytes, with ``httptools``, the parser that uvicorn uses."""

from collections import deque
from itertools import islice

import httptools

from claude_mailbox.errors import BadRequest, MailboxError

# Most bytes of a request besides its body: its head and, of a chunked body, the chunks' sizes and
# extensions and the trailer.
_HEAD_LIMIT = 64 * 1024
_HEADERS_LIMIT = 128
# So many bytes of each chunk's size and line ends do not count against that limit.
_CHUNK_BYTES = 16
# Memory that Python needs for a request and for a header, besides their bytes.
_REQUEST_COST = 1024
_HEADER_COST = 128
# How much a client may send before its first request is answered: requests, and their size.
_AHEAD_REQUESTS = 100
_AHEAD_BYTES = 1024 * 1024

_UPGRADE_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})


class HeadTooLarge(MailboxError):
    """A request has too many headers, or too much besides its body."""

    code = "head-too-large"
    status = 431


class Request:
    """One request, as far as it has been parsed.

    Attributes:
        body: what has arrived of the body and was not taken yet.
        size: roughly its memory in bytes, including what was taken of its body.
    """

    __slots__ = (
        "body",
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
        self.body = bytearray()
        self.size = _REQUEST_COST
        self.is_complete = False
        self.keeps_alive = True


class Parser:
    """Turns bytes into requests. The ``on_`` methods are called by httptools."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._growing = Request()
        self._is_in_head = True
        self._has_too_many_headers = False
        self._unaccounted = 0
        self.requests: deque[Request] = deque()
        """Requests whose headers are complete, oldest first."""

    def feed(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises:
            BadRequest: if they are not valid HTTP.
            HeadTooLarge: if a request has too much besides its body.
        """
        # Counted here and not in the callbacks: httptools buffers a header until it is complete,
        # and does not report extensions of chunks at all.
        self._unaccounted += len(data)
        try:
            while data:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    if self._has_too_many_headers:
                        break
                    data = self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            raise BadRequest(f"The request is not valid HTTP: {error}.") from None
        self._unaccounted = max(0, self._unaccounted)
        if self._unaccounted > _HEAD_LIMIT:
            raise HeadTooLarge(f"The request has more than {_HEAD_LIMIT} bytes besides its body.")
        if self._has_too_many_headers:
            raise HeadTooLarge(f"The request has more than {_HEADERS_LIMIT} headers.")

    def _ignore_upgrade(self, rest: bytes) -> bytes:
        """Undo the last request, which asks for another protocol; return what to parse next.

        A server may ignore ``Upgrade`` (RFC 9110, 7.8), but httptools stops there, and takes the
        request's body for the other protocol. So the request is parsed once more without those
        headers, and *rest* after it.
        """
        request = self.requests[-1]
        headers = [pair for pair in request.headers if pair[0] not in _UPGRADE_HEADERS]
        if len(headers) == len(request.headers):  # CONNECT: what follows is not HTTP
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
    def size(self) -> int:
        """Roughly the memory of all requests, in bytes."""
        size = 0
        for request in self.requests:
            size += request.size
        return size

    @property
    def is_far_ahead(self) -> bool:
        """Whether the client has sent too much before its first request is answered."""
        if len(self.requests) < 2:
            return False
        ahead = islice(self.requests, 1, None)
        return (
            len(self.requests) > _AHEAD_REQUESTS or sum(each.size for each in ahead) > _AHEAD_BYTES
        )

    def on_message_begin(self) -> None:
        self._growing = Request()
        self._is_in_head = True

    def on_url(self, url: bytes) -> None:
        self._growing.target += url
        self._growing.size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are dropped: they arrive after the headers were checked.
        if not self._is_in_head or self._has_too_many_headers:
            return
        self._growing.headers.append((name.lower(), value))
        self._growing.size += len(name) + len(value) + _HEADER_COST
        self._has_too_many_headers = len(self._growing.headers) > _HEADERS_LIMIT

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._has_too_many_headers:
            return
        self._growing.method = self._parser.get_method().decode("ascii")
        self._growing.version = self._parser.get_http_version()
        self._growing.keeps_alive = self._parser.should_keep_alive()
        self.requests.append(self._growing)

    def on_chunk_header(self) -> None:
        self._unaccounted -= _CHUNK_BYTES

    def on_body(self, body: bytes) -> None:
        self._growing.body += body
        self._growing.size += len(body)
        self._unaccounted -= len(body)

    def on_message_complete(self) -> None:
        self._growing.is_complete = True
        self._unaccounted = 0
