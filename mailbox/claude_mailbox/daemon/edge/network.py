"""Hypercorn, for what the lean server does not take. Imported when the daemon answers already."""

import json
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

from claude_mailbox.daemon.http.asgi import JSON_TYPE, App, error_body
from claude_mailbox.errors import BadRequest

_KEEP_ALIVE_SECONDS = 75
_READ_BYTES = 64 * 1024
# What a client may send ahead of its answers. With more than that in the socket, its leaving is
# noticed only when the answer is out.
_AHEAD_LIMIT = 16 * _READ_BYTES


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

    async def _send_error_response(self, status_code: int) -> None:
        error = BadRequest("The request is not valid HTTP/1.1.")
        body = json.dumps(error_body(error)).encode()
        headers = [
            (b"content-type", JSON_TYPE),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

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


class HypercornServer:
    """Serves connections one by one; accepting them is done elsewhere.

    Args:
        app: what they are served.
        grace_seconds: how long a request may go on after ``terminate``.
    """

    def __init__(self, app: App, grace_seconds: float) -> None:
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]  # our looser ASGI types
        self._config = _settings(grace_seconds)
        self._context = WorkerContext(None)

    async def serve(self, stream: trio.SocketStream, first: bytes) -> None:
        """Serve one client, who has sent *first* already, until either side has enough.

        A client that takes no bytes keeps this from returning: Hypercorn shields its sends.
        """
        # Its type asks for TLS; it serves plain streams as well.
        connection = _Connection(self._app, self._config, self._context, {}, stream)  # type: ignore[arg-type]
        connection.first = first
        try:
            await connection
        finally:
            await trio.aclose_forcefully(stream)

    async def terminate(self) -> None:
        """Let connections end with their next answer."""
        await self._context.terminated.set()
