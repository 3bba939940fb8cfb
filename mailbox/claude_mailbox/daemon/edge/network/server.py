"""Hypercorn, for clients on other machines: TLS, HTTP/1.1 and HTTP/2.

Only accepting is ours, because Hypercorn has no limit of connections. It tells of a disconnect, but
not whether the last bytes were written, so clients that must not lose mail use explicit leases.
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
# A client that takes no bytes for so long counts as gone. Hypercorn would wait for ever, so the kernel
# closes the connection, where it has this option.
_STALL_MILLISECONDS = 30_000


def check_certificate(certificate: str, key: str) -> None:
    """Check that a certificate and its key can be used.

    Raises:
        StartupError: if not.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError, too
        reason = error.strerror or str(error)
        raise StartupError(
            f"Cannot use the TLS certificate {certificate} with the key {key} ({reason}): give a"
            " certificate and its own key, both in PEM."
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
        app: the application.
        listener: a listening socket, which is closed at the end.
        closing: set when the daemon stops.
        grace_seconds: how long running requests may go on then.
        max_connections: how many there may be; one more is closed at once. With TLS one address may
            have half of them; without it all come from one proxy.
        certificate: file with the certificate; empty for no TLS.
        key: file with its key.
        task_status: started when connections are accepted.
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
                # It takes both kinds of stream.
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
    """Ends when its client leaves; Hypercorn's own would stay until the keep-alive time is over."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


def _address(stream: trio.SocketStream) -> str | None:
    """Return the client's address, or None if it has already left."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return None


async def _hang_up(port: int, closing: trio.Event, grace_seconds: float) -> None:
    """Shut down the connections that are left after the grace.

    Hypercorn shields its writes, so a client that does not read would keep the daemon from ending.
    It gives no access to its connections, but they are this process's sockets on that port.
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
            except OSError:  # not a socket
                os.close(descriptor)
                continue
            with found:
                is_tcp = found.family in {socket.AF_INET, socket.AF_INET6}
                if is_tcp and found.getsockname()[1] == port:
                    found.shutdown(socket.SHUT_RDWR)
