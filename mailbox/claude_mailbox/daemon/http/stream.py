"""A client's byte stream: a non-blocking socket, used directly.

`trio.SocketStream` guards against concurrent writers, translates errors, and yields to other tasks
after every call. Here one task writes, and every request waits for the store anyway. So reads and
writes call the socket, and trio only when they have to wait.

The price: this module uses `trio.lowlevel`, and has to know how sockets behave on each system.
"""

import contextlib
import select
import socket
import struct
import sys

import trio

from claude_mailbox.daemon.http.peer import peer_of

# A client that takes no bytes for so long counts as gone.
STALL_SECONDS = 30.0
# So does one that takes less than this on average: its response fills memory, and its messages are
# leased. No client on this machine is so slow.
LEAST_BYTES_PER_SECOND = 4 * 1024

_HANG_UP = getattr(select, "POLLRDHUP", 0)


class ClientGone(Exception):
    """The client has closed the connection, or takes too long to read."""


class Stream:
    """Takes over a connection from trio.

    Args:
        stream: the connection, which must not be used afterwards.
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
            # A client that sends without a pause must not keep other tasks waiting.
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    def is_silent(self) -> bool:
        """Return whether there is neither input nor the end of it; False where poll(2) is missing."""
        return self._has_poll and not self._look(select.POLLIN | _HANG_UP)

    def _look(self, events: int) -> bool:
        poll = select.poll()
        poll.register(self._socket, events)
        return bool(poll.poll(0))

    def has_input(self) -> bool:
        """Return whether ``receive`` would return at once, with bytes or at the end."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def has_hung_up(self) -> bool:
        """Return whether the client has closed its end, even if there is unread input before that.

        Windows never tells, and macOS only when both ends are closed.
        """
        return self._has_poll and self._look(_HANG_UP)

    async def send(self, data: bytes) -> None:
        """Send all of *data*.

        Raises:
            ClientGone: if the connection is closed or broken; or if the client took nothing for
                ``STALL_SECONDS``, or less than ``LEAST_BYTES_PER_SECOND`` for longer than that,
                and then the connection is aborted.
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

        A socket becomes writable only when much of its buffer is free, which may take a slow
        reader longer than ``STALL_SECONDS``. So progress is measured by how much is in the buffer.
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
        """Reset the connection and drop unsent data; pending calls return as at its end."""
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
        """Return how many bytes the system has not sent yet (SIOCOUTQ, tcp(7) and unix(7))."""
        answer = fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0")
        return int.from_bytes(answer, sys.byteorder)

else:

    def _buffered(connection: socket.socket) -> int | None:
        return None
