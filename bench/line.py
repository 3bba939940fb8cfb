"""A kept connection that speaks any protocol whose replies' lengths can be told."""

import socket

from bench.errors import BenchError
from bench.load import ReplyLength


class Line:
    """One request at a time over *sock*, which it closes."""

    def __init__(self, sock: socket.socket, reply_length: ReplyLength) -> None:
        self._socket = sock
        self._reply_length = reply_length
        self._buffer = bytearray()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, request: bytes) -> None:
        """Send a request and do not wait."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Wait for the next whole reply.

        Raises:
            BenchError: if the connection ends before.
        """
        while not (length := self._reply_length(self._buffer)):
            data = self._socket.recv(65536)
            if not data:
                raise BenchError("The connection ended before the reply was whole.")
            self._buffer += data
        reply = bytes(self._buffer[:length])
        del self._buffer[:length]
        return reply

    def exchange(self, request: bytes) -> bytes:
        """Send a request and return its reply."""
        self.send(request)
        return self.receive()
