"""The daemon's sockets: TCP on loopback, and a Unix socket in the home folder."""

import errno
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from claude_mailbox import paths
from claude_mailbox.daemon.http.stream import Stream
from claude_mailbox.errors import StartupError

# Thousands of clients may connect at once; the kernel caps this at its own limit.
BACKLOG = 4096
_ACCEPT_PAUSE_SECONDS = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket and the address that clients reach it by."""

    socket: socket.socket
    address: str


def open_tcp(bind: str, port: int) -> Listener:
    """Listen on TCP.

    Raises:
        StartupError: if the address is not ours or the port is taken, by whom if that can be told.
    """
    host = bind.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Windows gives the flag another meaning: there it lets two daemons share a port.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, TypeError, UnicodeError) as error:  # the last two: no name of a host at all
        listener.close()
        if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES} and port:
            raise StartupError(_taken(host, port, error)) from None
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartupError(
            f"Cannot listen on {bind} port {port} ({reason}): give another address with --bind, or"
            " another port with --port."
        ) from None
    except OverflowError:
        listener.close()
        raise StartupError(f"There is no port {port}: give one from 0 to 65535.") from None
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    return Listener(listener, f"http://{shown}:{listener.getsockname()[1]}")


def _taken(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by you: choose another one with --port."
    from claude_mailbox.ports import port_owner

    who = port_owner(host, port)
    return (
        f"Port {port} is taken{f' by {who}' if who else ''}: stop that program, or choose another"
        " port with --port or 'port' in mailbox.json."
    )


def open_unix(path: str) -> Listener | None:
    """Listen on a Unix socket that only we may use; None where that is not possible.

    The caller holds the home folder's lock, so a socket that is there already is a leftover.
    """
    if not hasattr(socket, "AF_UNIX") or len(os.fsencode(path)) > paths.SOCKET_PATH_LIMIT:
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupError(
            f"Cannot make the socket {path} ({error.strerror}): check the permissions of the home"
            " folder, or choose another one with CLAUDE_MAILBOX_HOME."
        ) from None
    return Listener(listener, f"unix:{path}")


async def accept(
    listener: Listener,
    handlers: trio.Nursery,
    handle: Callable[[Stream], Awaitable[None]],
) -> None:
    """Start *handle* in *handlers* for each client that comes, until cancelled.

    When the process has no descriptors left, clients wait in the kernel's queue.
    """
    source = trio.SocketListener(trio.socket.from_stdlib_socket(listener.socket))
    is_short = False
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
            handlers.start_soon(handle, stream)
