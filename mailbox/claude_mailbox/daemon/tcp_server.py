"""TCP, where MCP and REST clients come in: Hypercorn, and a fast lane beside it.

Accepting connections is ours, so that the socket can be made (and a taken port explained) before,
and a lack"""

import logging
import sys
from collections.abc import Awaitable, Callable

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import EventWrapper, WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from claude_mailbox.daemon.asgi import App
from claude_mailbox.daemon.listeners import Listener, accept
from claude_mailbox.daemon.local_server import Clients
from claude_mailbox.daemon.stream import Stream

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75
_READ_BYTES = 64 * 1024
# What a client may send ahead of its answers. With more than that in the socket, its leaving is
# noticed only when the answer is out.
_AHEAD_LIMIT = 16 * _READ_BYTES

# How requests begin that the lean server takes.
_FAST = (
    *(b"%s %s" % (m, p) for m in (b"GET", b"POST", b"DELETE") for p in (b"/v1/", b"/mcp")),
    b"GET /health ",
)


class _ClientLeft(Exception):
    """The client has gone while its request was being answered."""


class _Pause(EventWrapper):
    """Holds the reader back until a request is answered, when another one is there already.

    Hypercorn reads nothing meanwhile, and would not notice that the client leaves.

    Args:
        listen: returns when the client has left.
    """

    def __init__(self, listen: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._listen = listen

    async def wait(self) -> None:
        """Wait for the answer.

        Raises:
            _ClientLeft: if the client does not.
        """
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                await self._listen()
                nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            await super().wait()
            nursery.cancel_scope.cancel()
        if not self.is_set():
            raise _ClientLeft


class _Http1(H11Protocol):
    """HTTP/1.1, and nothing that it could be upgraded to.

    Hypercorn would switch to HTTP/2 or a web socket for anybody who asks, past everything that the
    rooms above know about connections, and no setting forbids it.
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        pass

    async def _create_stream(self, request: h11.Request) -> None:
        if any(name == b"upgrade" for name, _ in request.headers):
            request = h11.Request(
                method=request.method,
                target=request.target,
                headers=[pair for pair in request.headers if pair[0] != b"upgrade"],
                http_version=request.http_version,
            )
        await super()._create_stream(request)


class _Connection(TCPServer):
    """One client's connection, which ends when the client has left."""

    _is_over = False
    first = b""
    """What the client has sent before we took over."""

    async def run(self) -> None:
        """Serve until either side has enough."""
        socket = self.stream.socket
        try:
            client = parse_socket_addr(socket.family, socket.getpeername())
            server = parse_socket_addr(socket.family, socket.getsockname())
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = _Http1(  # type: ignore[assignment]  # no wrapper that may switch
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                self.protocol.can_read = _Pause(self._listen)  # type: ignore[attr-defined]
                await self.idle_task.restart(task_group, self._idle_timeout)
                await self._read_data()
        except OSError:
            return  # the client is gone
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        """Send bytes, close, or take note that the connection is idle or busy."""
        if self._is_over and isinstance(event, Updated):
            return
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:
            # The reader closes the connection, because of bytes that it has no use for.
            await self.protocol.handle(Closed())

    async def _listen(self) -> None:
        """Return when the client has left; keep what it sends ahead."""
        parser = self.protocol.connection  # type: ignore[attr-defined]
        ahead = 0
        while ahead < _AHEAD_LIMIT:
            try:
                data = bytes(await self.stream.receive_some(_READ_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            ahead += len(data)
            parser.receive_data(data)
        await trio.sleep_forever()

    async def _read_data(self) -> None:
        try:
            await self.protocol.handle(RawData(self.first))
            await super()._read_data()
        except _ClientLeft:
            await self.protocol.handle(Closed())
        # Hypercorn would hold the descriptor until the idle timer has run out.
        self._is_over = True
        await self.idle_task.stop()


def _settings(grace_seconds: float) -> Config:
    config = Config()
    config.graceful_timeout = grace_seconds
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    return config


async def serve_tcp(
    app: App,
    listener: Listener,
    closing: trio.Event,
    *,
    grace_seconds: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* until *closing*; then let running requests finish for *grace_seconds*.

    A failing connection is logged and closed, and never reaches another one. A client that takes
    no bytes keeps this from returning: Hypercorn shields its sends.
    """
    config = _settings(grace_seconds)
    context = WorkerContext(None)
    wrapped = ASGIWrapper(app)  # type: ignore[arg-type]  # our looser ASGI types

    clients = Clients(app, closing.is_set)

    async def handle(stream: Stream) -> None:
        try:
            first = await _first_bytes(stream, closing)
            if first.startswith(_FAST):
                await clients.serve(stream, first)
            elif first:
                await serve_stranger(stream.to_trio(), first)
        except Exception:
            logger.exception("a connection failed")
        finally:
            stream.close()

    async def serve_stranger(stream: trio.SocketStream, first: bytes) -> None:
        try:
            # Its type asks for TLS; it serves plain streams as well.
            connection = _Connection(wrapped, config, context, {}, stream)  # type: ignore[arg-type]
            connection.first = first
            await connection
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(clients.tidy)
            accepting.start_soon(accept, listener, handlers, handle)
            task_status.started()
            await closing.wait()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        clients.end_idle()
        handlers.cancel_scope.deadline = trio.current_time() + grace_seconds


async def _first_bytes(stream: Stream, closing: trio.Event) -> bytes:
    """Return what the client sends first; nothing when it leaves, is silent, or we are closing."""
    first = b""
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + _KEEP_ALIVE_SECONDS

        async def give_up() -> None:
            await closing.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        first = await stream.receive(_READ_BYTES)
        nursery.cancel_scope.cancel()
    return first
