"""Hypercorn, for clients on other machines: TLS, HTTP/1.1 and HTTP/2.

It tells of a disconnect, but not whether the last bytes were written, so clients that must not lose
mail use explicit leases. It has no limit of connections either, and gives no access to them. But they
are sockets of this process, so we find and close those that are too many, or that outlive the grace.
"""

import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import cast

import hypercorn.trio
import trio
from hypercorn.config import Config
from hypercorn.typing import Framework

from claude_mailbox.daemon.edge.network.connection_limit import surplus
from claude_mailbox.daemon.http.asgi import App
from claude_mailbox.errors import StartupError

_HANDSHAKE_SECONDS = 10
# A client that takes no bytes for so long counts as gone. Hypercorn would wait for ever, so the kernel
# closes the connection, where it has this option.
_STALL_MILLISECONDS = 30_000
# How often connections are counted.
_COUNT_SECONDS = 1.0


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
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* until *closing* is set and all connections have ended.

    Args:
        app: the application.
        listener: a listening socket, which is taken over.
        closing: set when the daemon stops.
        grace_seconds: how long running requests may go on then.
        max_connections: how many there may be; more are closed within a second. With TLS one address
            may have half of them; without it all come from one proxy.
        certificate: file with the certificate; empty for no TLS.
        key: file with its key.
        task_status: started when connections are accepted.
    """
    port = listener.getsockname()[1]
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALL_MILLISECONDS)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    if certificate:
        config.certfile, config.keyfile = certificate, key
    config.ssl_handshake_timeout = _HANDSHAKE_SECONDS
    config.graceful_timeout = grace_seconds
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    config.accesslog = None
    config.loglevel = "WARNING"
    per_address = max_connections // 2 if certificate else max_connections
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close_surplus, port, max_connections, per_address)
        nursery.start_soon(_hang_up, port, closing, grace_seconds)
        await hypercorn.trio.serve(
            cast("Framework", app),
            config,
            shutdown_trigger=closing.wait,
            task_status=task_status,
            mode="asgi",
        )
        nursery.cancel_scope.cancel()


async def _close_surplus(port: int, limit: int, limit_per_address: int) -> None:
    while True:
        await trio.sleep(_COUNT_SECONDS)
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(each) for each in _connections(port)]
            addresses = [_address(each) for each in found]
            for place in surplus(addresses, limit, limit_per_address):
                _shut_down(found[place])


async def _hang_up(port: int, closing: trio.Event, grace_seconds: float) -> None:
    """Shut down the connections that are left after the grace.

    Hypercorn shields its writes, so a client that does not read would keep the daemon from ending.
    """
    await closing.wait()
    while True:
        await trio.sleep(grace_seconds)
        for connection in _connections(port):
            with connection:
                _shut_down(connection)


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield a duplicate of each of this process's connections at *port*, to be closed."""
    for number in _descriptors():
        with contextlib.suppress(OSError):
            descriptor = os.dup(number)
            try:
                found = socket.socket(fileno=descriptor)
            except OSError:  # not a socket
                os.close(descriptor)
                continue
            if _is_connection(found, port):
                yield found
            else:
                found.close()


def _descriptors() -> list[int]:
    """Return the open ones, without that by which they are listed."""
    found = []
    for name in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ():
        with contextlib.suppress(OSError):
            os.fstat(int(name))
            found.append(int(name))
    return found


def _is_connection(found: socket.socket, port: int) -> bool:
    return (
        found.family in {socket.AF_INET, socket.AF_INET6}
        and found.getsockname()[1] == port
        and not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )


def _address(connection: socket.socket) -> str:
    """Return the client's address; empty if it has already left."""
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)
