"""ASGI middleware that refuses requests of web pages, and bounds bodies. Runs before every route.

A web page in the user's browser can reach a loopback port. Three things keep it out: the ``Host``
header, which a page cannot forge even by DNS rebinding; the ``Origin`` header, which the browser
sets; and the content type, for which the browser sends a preflight that is never answered.

Requests from other machines carry a token, which no page has, so they may use any host name. The
inbox's cookie in place of a token counts only for the inbox's own pages.
"""

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import trio

from claude_mailbox.daemon.edge.network.grant import grant_of
from claude_mailbox.daemon.http.asgi import (
    CONNECTION_KEY,
    App,
    Connection,
    Message,
    Receive,
    Scope,
    Send,
    headers_named,
    send_error,
)
from claude_mailbox.errors import BadRequest, MailboxError
from claude_mailbox.refusals import Forbidden, NotFound, RequestTimeout, TooLarge, WrongContentType

# JSON escapes can make a message six times as long: "\u0000" for one byte.
_ESCAPE_FACTOR = 6
_ENVELOPE_BYTES = 64 * 1024
_STRING = re.compile(rb'"[^"]*"')
# Below this path are the forms of the inbox, which browsers send as forms. A token protects them.
_FORMS = "/inbox/"
_JSON_TYPE = b"application/json"
_FORM_TYPE = b"application/x-www-form-urlencoded"
_BODY_SECONDS = 30

# Of a refused body, read and drop at most so many bytes, for so long, and until the client pauses for
# so long.
_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_SECONDS = 10
_DRAIN_PAUSE_SECONDS = 0.25

# As ASGI spells them; "2" comes only from Hypercorn.
_VERSIONS = frozenset({"1.0", "1.1", "2"})

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """Wraps an ASGI application, and passes on complete requests that no web page has sent.

    Args:
        app: the application.
        hosts: allowed host names, besides the loopback ones.
        max_body_bytes: limit of one message; a request may be larger by what JSON adds.
    """

    def __init__(self, app: App, hosts: Collection[str], max_body_bytes: int) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._max_request = max_body_bytes * _ESCAPE_FACTOR + _ENVELOPE_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._check_target(scope)
            self._check_sender(scope)
            has_body = self._check_body(scope)
        except MailboxError as error:
            await _refuse(error, scope, receive, send)
            return
        if not has_body:
            await self._app(scope, receive, send)
            return
        try:
            first = await self._read_body(scope, receive)
        except MailboxError as error:
            await _refuse(error, scope, receive, send)
            return
        if first is None:
            return
        if first["body"] and not headers_named(scope, b"content-type"):
            await _refuse(_wrong_type(_JSON_TYPE), scope, receive, send)
            return
        messages = [first]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    def _check_target(self, scope: Scope) -> None:
        """Check the HTTP version and the path; reduce an absolute target to its path."""
        if scope["http_version"] not in _VERSIONS:
            raise BadRequest("Use HTTP/1.1: the daemon understands no other version.")
        if not scope["path"].startswith("/"):
            self._reduce_target(scope)
        if scope["path"].startswith("//"):
            # Quart would treat it like the path with one slash.
            raise NotFound("The path begins with two slashes: leave one out.")

    def _reduce_target(self, scope: Scope) -> None:
        scheme, _, rest = scope["raw_path"].partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if scheme.lower() != b"http" or not slash:
            raise BadRequest("The request's target must be a path, such as /health.")
        if _split_host(authority)[0] not in self._hosts:
            raise self._foreign_host(authority)
        scope["path"] = unquote("/" + path.decode("ascii"))

    def _check_sender(self, scope: Scope) -> None:
        hosts = headers_named(scope, b"host")
        if len(hosts) != 1:
            raise BadRequest("The request needs exactly one Host header.")
        host, _ = _split_host(hosts[0])
        is_remote = grant_of(scope) is not None
        if host not in self._hosts and not is_remote:
            raise self._foreign_host(hosts[0])
        for origin in headers_named(scope, b"origin"):
            server = scope.get("server")
            if not (_is_by_own_page(scope) if is_remote else self._is_ours(origin, server)):
                raise Forbidden(
                    f"Origin '{_show(origin)}' is not allowed: web pages have no access to mail."
                )

    def _foreign_host(self, host: bytes) -> Forbidden:
        return Forbidden(
            f"Host '{_show(host)}' is not allowed: address the daemon as 127.0.0.1 or"
            " localhost, or add the name to 'allowedHosts' in mailbox.json."
        )

    def _is_ours(self, origin: bytes, server: tuple[str, int | None] | None) -> bool:
        try:
            parts = urlsplit(origin.decode("ascii"))
            port = parts.port
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or (parts.hostname or "") not in self._hosts:
            return False
        own_port = server[1] if server is not None and len(server) > 1 else None
        return not own_port or port == own_port

    def _check_body(self, scope: Scope) -> bool:
        """Check what the headers say of the body; return whether there may be one."""
        lengths = headers_named(scope, b"content-length")
        types = headers_named(scope, b"content-type")
        is_chunked = bool(headers_named(scope, b"transfer-encoding"))
        if lengths and is_chunked:
            # Request smuggling: a proxy may see the end of the request elsewhere.
            raise BadRequest("Send Content-Length or Transfer-Encoding, not both.")
        size = int(lengths[0]) if lengths else 0
        # In HTTP/2 a body may follow without a header that says so.
        may_have_body = scope["http_version"] == "2" and not lengths
        has_body = is_chunked or size > 0 or (may_have_body and bool(types))
        wanted = _FORM_TYPE if _is_form(scope) else _JSON_TYPE
        if (has_body or types) and not (
            types and all(_media_type(value) == wanted for value in types)
        ):
            raise _wrong_type(wanted)
        if size > self._max_request:
            raise self._too_large()
        return has_body or may_have_body

    async def _read_body(self, scope: Scope, receive: Receive) -> Message | None:
        """Return the whole body as one message, or None if the client left before its end."""
        connection: Connection | None = scope.get(CONNECTION_KEY)
        is_json = not _is_form(scope)
        if connection is not None and connection.has_whole_request():
            return await self._gather(receive, is_json=is_json)
        with trio.move_on_after(_BODY_SECONDS):
            return await self._gather(receive, is_json=is_json)
        raise RequestTimeout(f"The body did not arrive within {_BODY_SECONDS} seconds: send again.")

    async def _gather(self, receive: Receive, *, is_json: bool) -> Message | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_request:
                raise self._too_large()
            if not message.get("more_body", False):
                if is_json and len(body) > _ENVELOPE_BYTES and _envelope_of(body) > _ENVELOPE_BYTES:
                    raise TooLarge(
                        f"The request's JSON has more than {_ENVELOPE_BYTES} bytes besides its"
                        " strings: leave out fields that the daemon does not know."
                    )
                return {"type": "http.request", "body": bytes(body), "more_body": False}

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The request is larger than {self._max_request} bytes: send the message in parts, or"
            " send the path of a file."
        )


def _is_by_own_page(scope: Scope) -> bool:
    """Return whether a page of the inbox sent this, as the browser says; over TLS each one does."""
    return _is_form(scope) and headers_named(scope, b"sec-fetch-site") == [b"same-origin"]


def _is_form(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_FORMS)


def _envelope_of(body: bytearray) -> int:
    """Return the length of JSON without the content of its strings.

    In memory, parsed JSON takes up to fifty times its length; strings take about their length.
    """
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    quotes = plain.count(b'"')
    return quotes if quotes > _ENVELOPE_BYTES else quotes + len(_STRING.sub(b"", plain))


def _wrong_type(wanted: bytes) -> WrongContentType:
    return WrongContentType(f"Send the body with 'Content-Type: {wanted.decode()}'.")


async def _refuse(error: MailboxError, scope: Scope, receive: Receive, send: Send) -> None:
    """Read the rest of the request, answer with an error, and end the connection.

    Closing a connection with unread bytes resets it, and the client would miss the answer.
    """
    if not headers_named(scope, b"expect"):
        left = _DRAIN_BYTES
        with trio.move_on_after(_DRAIN_SECONDS):
            while left > 0:
                message: Message = {"type": "nothing came"}
                with trio.move_on_after(_DRAIN_PAUSE_SECONDS):
                    message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
                left -= len(message.get("body", b""))
    await send_error(send, error, close=True)


@lru_cache(maxsize=64)
def _split_host(value: bytes) -> tuple[str, str]:
    """Return the name and port of a Host header; an IPv6 address without its brackets."""
    text = value.decode("latin-1").strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        try:
            return str(ipaddress.ip_address(name if bracket else "")), rest.removeprefix(":")
        except ValueError:
            return text, ""
    name, _, port = text.partition(":")
    return name, port


def _media_type(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()


def _show(value: bytes) -> str:
    return ascii(value.decode("latin-1"))[1:-1][:100]
