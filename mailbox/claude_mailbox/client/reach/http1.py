"""HTTP/1.1 as bytes: build a request, parse a response. Strict, and no I/O."""

from claude_mailbox.errors import BadRequest

HEAD_LIMIT = 64 * 1024
# The largest response that a daemon can send: a message of the largest size that can be
# configured, with every character escaped.
BODY_LIMIT = 512 * 1024 * 1024
CHUNK_LINE_LIMIT = 256
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_UNRESERVED = frozenset(b"-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Response:
    """A status, the headers by lower-case name, and the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


def quote(text: str) -> str:
    """Return *text* percent-encoded as UTF-8, for a query.

    Raises:
        UnicodeEncodeError: if it has a lone surrogate.
    """
    return "".join(chr(b) if b in _UNRESERVED else f"%{b:02X}" for b in text.encode())


def request_bytes(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes | None
) -> bytes:
    """Return a whole request; header values are sent as UTF-8.

    Raises:
        BadRequest: if the target or a header has characters that could end its line early.
    """
    if not target.startswith("/") or not all("!" <= c <= "~" for c in target):
        raise BadRequest(
            f"The request target {target!r} has characters that are not allowed there."
        )
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers:
        if not name or not _TOKEN.issuperset(name):
            raise BadRequest(f"The header name {name!r} is not valid.")
        if any((c < " " and c != "\t") or c == "\x7f" for c in value):
            raise BadRequest(f"The value of {name} has a control character: leave it out.")
        lines.append(f"{name}: {value}")
    if body is not None:
        lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(body)}")
    lines.append("\r\n")
    try:
        head = "\r\n".join(lines).encode()
    except UnicodeEncodeError:
        raise BadRequest("A header has a character that is not valid Unicode.") from None
    return head + body if body else head


def parse_head(head: bytes) -> Response:
    """Parse the lines of a response before its first empty line.

    Raises:
        ValueError: if they are malformed.
    """
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    code, space = rest[:3], rest[3:4]
    if version not in ("HTTP/1.1", "HTTP/1.0") or space not in ("", " "):
        raise ValueError("status line")
    if len(code) != 3 or not (code.isascii() and code.isdigit()) or code < "100":
        raise ValueError("status code")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise ValueError("header line")
        if any(c in "\r\n\0" for c in value):
            raise ValueError("header value")
        name, value = name.lower(), value.strip(" \t")
        if name in ("content-length", "transfer-encoding") and headers.get(name, value) != value:
            raise ValueError(f"two values of {name}")
        headers[name] = value
    return Response(int(code), headers)


def body_length(response: Response) -> int | None:
    """Return the length of the body in bytes, or None if it is chunked.

    Raises:
        ValueError: if the headers give no length, two lengths, or one over the limit.
    """
    if response.status in (204, 304):
        return 0
    length = response.headers.get("content-length")
    encoding = response.headers.get("transfer-encoding")
    if encoding is not None:
        if length is not None or encoding.lower() != "chunked":
            raise ValueError("transfer encoding")
        return None
    if length is None:
        raise ValueError("no length")
    if not (length.isascii() and length.isdigit()) or len(length) > 12:
        raise ValueError("content length")
    if int(length) > BODY_LIMIT:
        raise ValueError("content length over the limit")
    return int(length)


class ChunkDecoder:
    """Decodes a chunked body as it arrives.

    Attributes:
        done: whether the last chunk and the trailers have been read.
    """

    def __init__(self) -> None:
        self.done = False
        self._missing = 0  # bytes of the current chunk that have not come yet
        self._at_chunk_end = False  # the CRLF after the chunk has not come yet
        self._in_trailers = False

    def feed(self, buffer: bytearray) -> bytes:
        """Remove what can be decoded from the front of *buffer*, and return its payload.

        Raises:
            ValueError: if the chunks are malformed.
        """
        pieces = []
        start = 0
        while not self.done:
            if self._missing:
                piece = bytes(buffer[start : start + self._missing])
                if not piece:
                    break
                pieces.append(piece)
                start += len(piece)
                self._missing -= len(piece)
                self._at_chunk_end = not self._missing
                continue
            end = buffer.find(b"\r\n", start, start + CHUNK_LINE_LIMIT)
            if end < 0:
                if len(buffer) - start >= CHUNK_LINE_LIMIT:
                    raise ValueError("line between chunks")
                break
            line = bytes(buffer[start:end])
            start = end + 2
            if self._at_chunk_end:
                if line:
                    raise ValueError("end of chunk")
                self._at_chunk_end = False
            elif self._in_trailers:
                self.done = not line
            else:
                self._missing = _chunk_size(line)
                self._in_trailers = not self._missing
        del buffer[:start]
        return b"".join(pieces)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise ValueError("chunk size")
    return int(digits, 16)
