"""ASGI's types, and helpers for every layer above the server."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import trio

from claude_mailbox.errors import MailboxError
from claude_mailbox.refusals import MethodNotAllowed

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_TYPE = b"application/json"

# Scope key of the request's `Connection`, which only our own server sets.
CONNECTION_KEY = "claude_mailbox.connection"
# Scope key of the headers by name, made when one is first asked for.
_BY_NAME_KEY = "claude_mailbox.headers"


class Connection(Protocol):
    """What our own server tells of a connection beyond ASGI."""

    @property
    def process(self) -> int | None:
        """Id of the process at the other end of a Unix socket, where the system tells it."""
        ...

    def has_whole_request(self) -> bool:
        """Return whether all of the request has arrived, body included."""
        ...

    async def is_alive(self) -> bool:
        """Return whether the client is still there: reads what has arrived, and waits for nothing."""
        ...

    def is_broken(self) -> bool:
        """Return whether a write failed, so that the client misses a part of the response."""
        ...


def headers_named(scope: Scope, name: bytes) -> Sequence[bytes]:
    """Return the values of all headers of that (lower-case) name."""
    by_name: Mapping[bytes, Sequence[bytes]] | None = scope.get(_BY_NAME_KEY)
    if by_name is None:
        by_name = scope[_BY_NAME_KEY] = _by_name(scope["headers"])
    return by_name.get(name, ())


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, Sequence[bytes]]:
    """Return the headers by name: some six are looked up for each request."""
    found: dict[bytes, list[bytes]] = {}
    for key, value in headers:
        if key in found:
            found[key].append(value)
        else:
            found[key] = [value]
    return found


def is_local_socket(scope: Scope) -> bool:
    """Return whether the request came over the Unix socket, which only our user can reach."""
    return scope.get("server") is None


async def cancel_on_disconnect(receive: Receive, scope: trio.CancelScope) -> None:
    """Cancel *scope* when the client leaves; for a stream, whose request was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def error_body(error: MailboxError) -> dict[str, object]:
    """Return the JSON object that stands for an error in a response."""
    return {"error": str(error), "reason": error.code, **error.details()}


def error_headers(error: MailboxError) -> list[tuple[bytes, bytes]]:
    """Return the headers that an error adds to its response."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allowed.encode())]
    if error.challenge is not None:
        return [(b"www-authenticate", error.challenge.encode())]
    if error.retry_after is None:
        return []
    return [(b"retry-after", str(error.retry_after).encode())]


async def send_error(send: Send, error: MailboxError, *, close: bool = False) -> None:
    """Respond with an error; *close* ends the connection, as it must if a request was not read."""
    headers = error_headers(error)
    if close:
        headers.append((b"connection", b"close"))
    body = json.dumps(error_body(error)).encode()
    await send_json(send, body, status=error.status, headers=headers)


async def send_json(
    send: Send, body: bytes, *, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Respond with JSON."""
    fixed = [(b"content-type", JSON_TYPE), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*fixed, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
