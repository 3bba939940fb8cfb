"""The few pieces of ASGI that more than one room needs."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

from claude_mailbox.errors import MailboxError, MethodNotAllowed

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_TYPE = b"application/json"

# Scope key of our own server: the client.
CLIENT_KEY = "claude_mailbox.client"


class Client(Protocol):
    """What our own server tells of a client."""

    def has_whole_request(self) -> bool:
        """Return whether the request, with all of its body, is here."""
        ...

    async def look(self) -> bool:
        """Return whether it is still there, as far as has come in by now."""
        ...

    def is_broken(self) -> bool:
        """Return whether something could not be written: the client has not got it."""
        ...


def headers_named(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of all headers of that (lower-case) name."""
    return [value for key, value in scope["headers"] if key == name]


def error_body(error: MailboxError) -> dict[str, object]:
    """Return the JSON object that stands for an error in an answer."""
    return {"error": str(error), "reason": error.code, **error.details()}


def error_headers(error: MailboxError) -> list[tuple[bytes, bytes]]:
    """Return the headers that an error adds to its answer."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allowed.encode())]
    if error.retry_after is None:
        return []
    return [(b"retry-after", str(error.retry_after).encode())]


def end_last(app: App) -> App:
    """Return *app* with the end of its response sent when it is done.

    Hypercorn tells of the disconnect from inside the last send. An application that is cancelled
    by that is cancelled in that very send, and a connection to be closed stays open for ever.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        end: list[Message] = []

        async def send_all_but_end(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                end.append(message)
            else:
                await send(message)

        await app(scope, receive, send_all_but_end)
        for message in end:
            await send(message)

    return wrapped


async def send_error(send: Send, error: MailboxError, *, close: bool = False) -> None:
    """Answer with an error; *close* ends the connection, for a request that was not read."""
    headers = error_headers(error)
    if close:
        headers.append((b"connection", b"close"))
    body = json.dumps(error_body(error)).encode()
    await send_json(send, body, status=error.status, headers=headers)


async def send_json(
    send: Send, body: bytes, *, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with JSON."""
    fixed = [(b"content-type", JSON_TYPE), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*fixed, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Tell the server that we are ready; our own start and end are main.py's affair."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
