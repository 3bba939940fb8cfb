"""The doors where clients come in, TCP and the Unix socket, and which server takes them.

Accepting connections is ours, so that the sockets can be made (and a taken port explained)
before, and a lack of descriptors does not fill the log. A connection whose first request is for a
REST verb or for MCP goes to the lean server; Hypercorn serves all others, and whatever strangers
say. On the Unix socket there are none.
"""

import logging
from typing import Protocol

import trio

from claude_mailbox.daemon.http.asgi import App
from claude_mailbox.daemon.http.connection import Clients
from claude_mailbox.daemon.http.sockets import Listener, accept
from claude_mailbox.daemon.http.stream import Stream
from claude_mailbox.daemon.web.late import Late

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 75
_READ_BYTES = 64 * 1024

# How requests begin that the lean server takes.
_FAST = (
    *(b"%s %s" % (m, p) for m in (b"GET", b"POST", b"DELETE") for p in (b"/v1/", b"/mcp")),
    b"GET /health ",
)


class Server(Protocol):
    """A server for what the lean one does not take."""

    async def serve(self, stream: trio.SocketStream, first: bytes) -> None:
        """Serve one client, who has sent *first* already, until either side has enough."""
        ...

    async def terminate(self) -> None:
        """Let connections end with their next answer."""
        ...


async def open_doors(
    app: App,
    listener: Listener,
    closing: trio.Event,
    *,
    grace_seconds: float,
    strangers: Late[Server] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* until *closing*; then let running requests finish for *grace_seconds*.

    A failing connection is logged and closed, and never reaches another one. Without *strangers*
    the lean server takes everything.
    """
    clients = Clients(app, closing.is_set)

    async def handle(stream: Stream) -> None:
        if strangers is None:
            await clients.serve(stream)
            return
        try:
            first = await _first_bytes(stream, closing)
            start = first.lstrip(b"\r\n")  # empty lines mean nothing there
            if start.startswith(_FAST) or (first and not start):
                await clients.serve(stream, first)
            elif first:
                server = await strangers.get()
                await server.serve(stream.to_trio(), first)
        except Exception:
            logger.exception("a connection failed")
        finally:
            stream.close()

    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(clients.tidy)
            accepting.start_soon(accept, listener, handlers, handle)
            task_status.started()
            await closing.wait()
            accepting.cancel_scope.cancel()
        if strangers is not None and strangers.is_built:
            await (await strangers.get()).terminate()
        clients.end_idle()
        handlers.cancel_scope.deadline = trio.current_time() + grace_seconds


async def _first_bytes(stream: Stream, closing: trio.Event) -> bytes:
    """Return what the client sends first; nothing when it leaves, is silent, or we are closing."""
    first = b""
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + _PATIENCE_SECONDS

        async def give_up() -> None:
            await closing.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        first = await stream.receive(_READ_BYTES)
        nursery.cancel_scope.cancel()
    return first
