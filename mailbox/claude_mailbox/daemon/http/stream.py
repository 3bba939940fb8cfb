"""A client's connection, without what reads and writes of a general stream cost.

`trio.SocketStream` guards against two tasks that write at once, translates errors and yields to
the other tasks after every call. Here one task writes, every request waits for the store anyway,
and these calls are made for every message: so they go straight to the socket, and trio is asked
only when there is something to wait for.

The price is `trio.lowlevel`, and that this module has to know what a socket does on each system.
"""

import contextlib
import select
import socket
import struct
import sys

import trio

from claude_mailbox.daemon.http.peer import peer_of

# A client that takes no bytes for so long is gone, whatever its socket says.
STALL_SECONDS = 30.0
# One that takes less on average is as good as gone: what it is being sent is kept for it, in memory
# and out of everybody else's reach. A modem is slower, but nobody is on this machine by modem.
LEAST_BYTES_PER_SECOND = 4 * 1024

_HANG_UP = getattr(select, "POLLRDHUP", 0)


class ClientGone(Exception):
    """What was to be sent cannot reach the client any more."""


class Stream:
    """Takes over a connection from trio.

    Args:
        stream: the connection, which is of no use afterwards.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._has_poll = hasattr(select, "poll")
        self.peer = peer_of(self._socket)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that the client connected to on TCP, None on a Unix socket."""
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
            # A client that sends without pause must not keep the others waiting.
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    def is_silent(self) -> bool:
        """Return whether nothing has come, not even the end; one call, where the system can tell."""
        return self._has_poll and not self._look(select.POLLIN | _HANG_UP)

    def _look(self, events: int) -> bool:
        poll = select.poll()
        poll.register(self._socket, events)
        return bool(poll.poll(0))

    def has_input(self) -> bool:
        """Return whether ``receive`` would return at once, even if only with the end."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def has_hung_up(self) -> bool:
        """Return whether the client has closed its end, even if unread input comes before that.

        Windows does not tell, and macOS only when both ends are closed.
        """
        return self._has_poll and self._look(_HANG_UP)

    async def send(self, data: bytes) -> None:
        """Send all of *data*.

        Raises:
            ClientGone: if the connection is closed or broken, or the client has taken nothing
                for ``STALL_SECONDS``, or less than ``LEAST_BYTES_PER_SECOND`` for longer than that;
                the connection is aborted then.
        """
        rest: bytes | memoryview = data
        deadline: float | None = None
        while True:
            try:
                sent = self._socket.send(rest)
                if sent == len(rest):
                    return
                rest = memoryview(rest)[sent:]
            except BlockingIOError:
                if deadline is None:
                    ahead = len(rest) + (_buffered(self._socket) or 0)
                    deadline = trio.current_time() + STALL_SECONDS + ahead / LEAST_BYTES_PER_SECOND
                await self._wait_for_room(deadline)
            except OSError:
                raise ClientGone from None

    async def _wait_for_room(self, deadline: float) -> None:
        """Wait until more can be sent, but not beyond *deadline*.

        The system calls a socket writable only when a good part of its buffer is free, which a
        slow reader may take long to reach: so what counts is whether the buffer has shrunk.
        """
        while True:
            before = _buffered(self._socket)
            now = trio.current_time()
            with trio.move_on_at(min(now + STALL_SECONDS, deadline)):
                await trio.lowlevel.wait_writable(self._socket)
                return
            is_late = trio.current_time() >= deadline
            if is_late or before is None or _buffered(self._socket) == before:
                self.abort()
                raise ClientGone

    def abort(self) -> None:
        """Cut the connection and drop what is not sent yet; pending calls see the end of it."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; more than once does no harm."""
        self._socket.close()


if sys.platform == "linux":
    import fcntl
    import termios

    def _buffered(connection: socket.socket) -> int | None:
        """Return how many bytes the system still holds for the client (ioctl SIOCOUTQ)."""
        answer = fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0")
        return int.from_bytes(answer, sys.byteorder)

else:

    def _buffered(connection: socket.socket) -> int | None:
        return None
