"""Opens listening sockets: TCP and Unix."""

import errno
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from claude_mailbox.errors import StartupError

# Thousands of clients may connect at once. The kernel lowers this to its own limit.
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, and its address for clients."""

    socket: socket.socket
    address: str


def open_tcp(
    bind: str,
    port: int,
    owner_of: Callable[[str, int], str | None] = lambda host, port: None,
    *,
    scheme: str = "http",
) -> Listener:
    """Listen on TCP.

    Args:
        bind: an address of this machine.
        port: 0 for any free one.
        owner_of: returns the program that holds a port, or None.
        scheme: the scheme of the listener's address.

    Raises:
        StartupError: if the address is not ours or the port is taken.
    """
    host = bind.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows this flag would let two daemons share a port.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, TypeError, UnicodeError) as error:  # the last two: not a host name
        listener.close()
        if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES} and port:
            raise StartupError(_taken(port, error, owner_of(host, port))) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartupError(
            f"Cannot listen on {bind} port {port} ({reason}): give another address with --bind, or"
            " another port with --port."
        ) from None
    except OverflowError:
        listener.close()
        raise StartupError(f"There is no port {port}: give one from 0 to 65535.") from None
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    return Listener(listener, f"{scheme}://{shown}:{listener.getsockname()[1]}")


def _taken(port: int, error: OSError, owner: str | None) -> str:
    if error.errno == errno.EACCES:
        return f"You may not use port {port}: choose another one with --port."
    return (
        f"Port {port} is taken{f' by {owner}' if owner else ''}: stop that program, or choose another"
        " port with --port or 'port' in mailbox.json."
    )


def open_unix(path: str) -> Listener:
    """Listen on a Unix socket that only this user may connect to.

    The caller holds the home folder's lock, so an existing socket is one of a former daemon.

    Raises:
        StartupError: if the socket cannot be made.
    """
    listener = None
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise StartupError(
            f"Cannot make the socket {path} ({error.strerror}): check the permissions of the home"
            " folder, or choose another one with CLAUDE_MAILBOX_HOME."
        ) from None
    return Listener(listener, f"unix:{path}")
