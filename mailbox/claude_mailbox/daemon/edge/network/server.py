"""Hypercorn for clients beyond this machine: TLS, HTTP/1.1 and HTTP/2.

Its connections and protocols are as they come; it takes any number of connections, so accepting
them is ours. It tells of a disconnect by a message alone, and not whether the last bytes were written: a client
that needs to know what arrived uses explicit leases.
"""

import contextlib
import os
import socket
import ssl
import sys
from functools import partial
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, Framework
from hypercorn.utils import wrap_app

from claude_mailbox.daemon.edge.network.connection_limit import ConnectionLimit
from claude_mailbox.daemon.http.asgi import App
from claude_mailbox.errors import StartupError

_KEEP_ALIVE_SECONDS = 75
_HANDSHAKE_SECONDS = 10
# A client that takes no bytes for so long is gone. Hypercorn would wait for ever; the kernel does
# not, where it can be told.
_STALL_MILLISECONDS = 30_000


def check_certificate(certificate: str, key: str) -> None:
    """Check that TLS can be spoken with these files.

    Raises:
        StartupError: if not.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl's own errors are such
        reason = error.strerror or str(error)
        raise StartupError(
            f"TLS cannot be spoken with the certificate {certificate} and the key {key} ({reason}):"
            " give a certificate and its own key, both in PEM."
        ) from None


async def serve_network(
    app: App,
    listener: socket.socket,
    closing: trio.Event,
    grace_seconds: float,
    *,
    max_connections: int,
    certificate: str = "",
    key: str = "",
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* until *closing* is set and all connections have ended.

    Args:
        app: the whole application.
        listener: it listens already; it is closed at the end.
        closing: set when the daemon ends.
        grace_seconds: how long running requests may go on then.
        max_connections: how many there may be; one more is closed at once. With TLS one address may
            have half of them; a proxy has all.
        certificate: file with the certificate; empty for no TLS.
        key: file with its key.
        task_status: is told when clients are served.
    """
    port = listener.getsockname()[1]
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALL_MILLISECONDS)
    config = Config()
    if certificate:
        config.certfile, config.keyfile = certificate, key
    config.ssl_handshake_timeout = _HANDSHAKE_SECONDS
    config.graceful_timeout = grace_seconds
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    config.accesslog = None
    config.loglevel = "WARNING"
    context = WorkerContext(None)
    limit = ConnectionLimit(
        max_connections, max_connections // 2 if certificate else max_connections
    )
    wrapped = wrap_app(cast("Framework", app), config.wsgi_max_body_size, "asgi")

    async def handle(stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        with limit.admit(_address(transport)) as is_admitted:
            if is_admitted:
                # What it is given is either kind of stream, and it finds out which.
                await _Connection(wrapped, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
            else:
                await trio.aclose_forcefully(transport)

    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    listeners = [
        trio.SSLListener(accepting, tls, https_compatible=True)
        if (tls := config.create_ssl_context()) is not None
        else accepting
    ]
    async with trio.open_nursery() as watching:
        watching.start_soon(_hang_up, port, closing, grace_seconds)
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as serving:
                start = partial(trio.serve_listeners, handler_nursery=connections)
                await serving.start(start, handle, listeners)
                task_status.started()
                await closing.wait()
                serving.cancel_scope.cancel()
            await context.terminated.set()
            connections.cancel_scope.deadline = trio.current_time() + grace_seconds
        watching.cancel_scope.cancel()


class _Connection(TCPServer):
    """A connection that ends with its client; on its own it goes on until an idle one would."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


def _address(stream: trio.SocketStream) -> str | None:
    """Return the client's address; None if it has left already."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return None


async def _hang_up(port: int, closing: trio.Event, grace_seconds: float) -> None:
    """Hang up on whoever is left when the time for running requests is over.

    Hypercorn lets nothing interrupt a write, so a client that takes no bytes would keep it, and it
    does not show its connections; but they are connections of this process from our port.
    """
    await closing.wait()
    while True:
        await trio.sleep(grace_seconds)
        _shut_down_all(port)


def _shut_down_all(port: int) -> None:
    for name in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ():
        with contextlib.suppress(OSError):
            descriptor = os.dup(int(name))
            try:
                found = socket.socket(fileno=descriptor)
            except OSError:  # it is something else
                os.close(descriptor)
                continue
            with found:
                is_tcp = found.family in {socket.AF_INET, socket.AF_INET6}
                if is_tcp and found.getsockname()[1] == port:
                    found.shutdown(socket.SHUT_RDWR)
