"""A client's connection, without what reads and writes of a general stream cost.

trio's own streams guard against two tasks that write at once, translate errors and yield to the
other tasks after every call. Here one task writes, every request waits for the ledger anyway, and
these calls are made for every message: so they go straight to the socket, and trio is asked only
when there is something to wait for.
"""

import select
import socket

import trio


class Gone(Exception):
    """The client has gone."""


class Stream:
    """Takes over a connection from trio.

    Args:
        stream: the connection, which is no good any more.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that the client came to on TCP, None on a Unix socket."""
        name = self._socket.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else None

    async def receive(self, limit: int) -> bytes:
        """Wait for bytes, at most *limit*; return b"" when there will be no more."""
        has_waited = False
        while True:
            try:
                data = self._socket.recv(limit)
                break
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                has_waited = True
            except OSError:
                return b""
        if not has_waited:
            # Who sends without end must not keep the others waiting.
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    def has_come(self) -> bool:
        """Return whether ``receive`` would return at once, be it with the end."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def has_hung_up(self) -> bool:
        """Return whether the client has closed its end, though what it sent is not all read.

        Windows does not tell, and macOS only when both ends are closed.
        """
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._socket, getattr(select, "POLLRDHUP", 0))
        return bool(poll.poll(0))

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            Gone: if that is not possible any more.
        """
        rest = memoryview(data)
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
                if not rest:
                    return
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError:
                raise Gone from None

    def close(self) -> None:
        """Close the connection; more than once does no harm."""
        self._socket.close()

    def to_trio(self) -> trio.SocketStream:
        """Hand the connection back to trio; this stream is no good any more."""
        connected = socket.socket(fileno=self._socket.detach())
        return trio.SocketStream(trio.socket.from_stdlib_socket(connected))
