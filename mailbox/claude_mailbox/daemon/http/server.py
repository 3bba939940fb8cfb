"""The server for this machine: HTTP/1.1 for an ASGI application, on TCP and on a Unix socket.

It exists because a delivery must know, at the last byte of the response, whether the client is still
there, and ASGI servers do not tell (see `asgi.Connection`).
"""

import logging
from collections import Counter
from collections.abc import Callable

import trio

from claude_mailbox.daemon.http.asgi import App, Receive, Scope, Send, send_error
from claude_mailbox.daemon.http.budget import Budget
from claude_mailbox.daemon.http.connection import Connection
from claude_mailbox.daemon.http.descriptors import CONNECTIONS_LIMIT
from claude_mailbox.daemon.http.peer import Peer
from claude_mailbox.daemon.http.sockets import Listener
from claude_mailbox.daemon.http.stream import Stream
from claude_mailbox.refusals import Forbidden, Overloaded

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 75
_IDLE_CHECK_SECONDS = 15
_ACCEPT_PAUSE_SECONDS = 0.1
# How long a connection must have been idle to be closed for a new one, and how long a new one waits
# for that.
_SPARE_SECONDS = 0.5
_ROOM_SECONDS = 1.0


class Server:
    """Serves the clients of one listener.

    Args:
        app: the application.
        closing: set when the daemon stops: no connection is accepted any more, and each ends with
            its next response.
        grace_seconds: how long running requests may go on then, before the server hangs up.
        budget: bounds the memory for all clients.
        max_connections: how many there may be; idle ones are closed for new ones. One process on the
            Unix socket may have half of them, and so may a user who may not connect.
        may_connect: whether the user with that id may connect; called where the system tells who
            the user is.
    """

    def __init__(
        self,
        app: App,
        closing: trio.Event,
        grace_seconds: float,
        budget: Budget,
        max_connections: int = CONNECTIONS_LIMIT,
        may_connect: Callable[[int], bool] = lambda user: True,
    ) -> None:
        self._app = app
        self._may_connect = may_connect
        self._accepting = trio.CancelScope()
        self._closing = closing
        self._grace_seconds = grace_seconds
        self._budget = budget
        self._max_connections = max_connections
        self._connections: dict[Connection, trio.CancelScope] = {}
        self._by_peer: Counter[Peer] = Counter()
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Server: {len(self._connections)} connections>"

    async def serve(
        self, listener: Listener, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until *closing* is set and all connections have ended."""
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(self._accept_until_stopped, listener, connections)
                accepting.start_soon(self._end_forgotten)
                task_status.started()
                await self._closing.wait()
                accepting.cancel_scope.cancel()
            self._end_idle()
            with trio.move_on_after(self._grace_seconds):
                while self._connections:
                    self._ended = trio.Event()
                    await self._ended.wait()
            # Cancelling is not enough: the end of a response that carries mail is shielded, and its
            # client may have stopped reading.
            for connection in self._connections:
                connection.hang_up()
            connections.cancel_scope.cancel()

    def stop_accepting(self) -> None:
        """Close the listener; open connections go on."""
        self._accepting.cancel()

    async def serve_client(self, stream: Stream) -> None:
        """Serve one client until either side closes the connection.

        An error in it is logged, and affects no other connection.
        """
        connection = None
        try:
            connection = self._connect(stream)
            with trio.CancelScope() as scope:
                self._connections[connection] = scope
                await connection.serve()
        except Exception:
            logger.exception("a connection failed")
        finally:
            if connection is not None:
                self._connections.pop(connection, None)
            stream.close()
            self._ended.set()

    async def _serve_accepted(self, stream: Stream) -> None:
        try:
            await self.serve_client(stream)
        finally:
            self._by_peer[stream.peer] -= 1
            if not self._by_peer[stream.peer]:
                del self._by_peer[stream.peer]

    def _connect(self, stream: Stream) -> Connection:
        app = self._app if self._is_welcome(stream.peer) else _refuse
        return Connection(stream, app, self._closing.is_set, self._budget)

    def _is_welcome(self, peer: Peer) -> bool:
        return peer.user is None or self._may_connect(peer.user)

    async def _accept_until_stopped(self, listener: Listener, connections: trio.Nursery) -> None:
        with self._accepting:
            await self._accept(listener, connections)

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        """Start serving each client that comes, until cancelled.

        When the process has no descriptors left, clients wait in the kernel's queue.
        """
        is_short = False
        async with trio.SocketListener(trio.socket.from_stdlib_socket(listener.socket)) as source:
            while True:
                try:
                    stream = Stream(await source.accept())
                except OSError as error:
                    if not is_short:
                        logger.error("cannot accept connections for now: %s", error.strerror)
                    is_short = True
                    await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                else:
                    is_short = False
                    if self._has_too_many(stream.peer):
                        await self._turn_away(stream)
                    elif await self._make_room():
                        self._by_peer[stream.peer] += 1
                        connections.start_soon(self._serve_accepted, stream)
                    else:
                        await self._turn_away(stream)

    def _has_too_many(self, peer: Peer) -> bool:
        """Return whether a peer has its share of the connections: half, if it can be identified.

        Then there is no waiting for one of them to end: other peers must be accepted meanwhile.
        """
        is_limited = peer.process is not None or not self._is_welcome(peer)
        return is_limited and self._by_peer[peer] >= self._max_connections // 2

    async def _make_room(self) -> bool:
        """Close an idle connection if there are too many; return whether there may be one more."""
        with trio.move_on_after(_ROOM_SECONDS):
            while len(self._connections) >= self._max_connections:
                self._end_longest_idle()
                self._ended = trio.Event()
                with trio.move_on_after(_ACCEPT_PAUSE_SECONDS):
                    await self._ended.wait()
        return len(self._connections) < self._max_connections

    def _end_longest_idle(self) -> None:
        connection = min(self._connections, key=lambda each: each.idle_since)
        if connection.idle_since <= trio.current_time() - _SPARE_SECONDS:
            self._connections[connection].cancel()

    async def _turn_away(self, stream: Stream) -> None:
        try:
            await self._connect(stream).turn_away(
                Overloaded("The daemon has as many connections as it may: try again in a moment.")
            )
        finally:
            stream.close()

    async def _end_forgotten(self) -> None:
        """Close connections that are idle for long, until cancelled.

        One task for all: a timer for each connection would slow down each request.
        """
        while True:
            await trio.sleep(_IDLE_CHECK_SECONDS)
            self._end_idle(_IDLE_SECONDS)

    def _end_idle(self, seconds: float = 0) -> None:
        """Close the connections that have been idle for so long."""
        before = trio.current_time() - seconds
        for connection, scope in self._connections.items():
            if connection.idle_since <= before:
                scope.cancel()


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a client that may not connect, without reading its request."""
    error = Forbidden(
        "This server belongs to another user of the machine: run your own, on another port."
    )
    await send_error(send, error, close=True)
