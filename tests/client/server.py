"""Small servers on real sockets that send exactly what a test tells them to."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from claude_mailbox.client.reach.address import Address
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import Connection
from support.daemon import PATIENCE_SECONDS

Script = Callable[["Peer"], None]


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, requests: list[bytes]) -> None:
        self.socket = sock
        self._requests = requests

    def read(self) -> bytes:
        """Read one request, record it and return it; return b"" if the client has left."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return data
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            body += self.socket.recv(65536)
        self._requests.append(head + b"\r\n\r\n" + body)
        return self._requests[-1]

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.socket.sendall(data)

    def respond(self, body: bytes, status: str = "200 OK") -> None:
        """Send a whole response."""
        self.send(
            b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)
        )

    def await_end(self) -> None:
        """Wait until the client has closed its side."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                pass


def respond_with(*data: bytes) -> Script:
    """Return a script that answers one request with raw bytes and closes the connection."""

    def script(peer: Peer) -> None:
        peer.read()
        for piece in data:
            peer.send(piece)

    return script


class Server:
    """Listens on loopback TCP or a Unix socket; runs one script for each connection, in order.

    Attributes:
        requests: the requests that came in, as bytes.
    """

    def __init__(self, *scripts: Script, path: str | None = None) -> None:
        self.requests: list[bytes] = []
        self._scripts = scripts
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = Address(host="127.0.0.1", port=self._listener.getsockname()[1])
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
            self.address = Address(path=path)
        self._listener.settimeout(PATIENCE_SECONDS)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._failure: BaseException | None = None
        self._clients: list[Connection | Daemon] = []

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        if error is None:
            assert not self._thread.is_alive(), "a script did not end"
            if self._failure is not None:
                raise self._failure

    def connect(self) -> Connection:
        """Return a connection to this server, which closes it at the end."""
        self._clients.append(connection := Connection(self.address))
        return connection

    def daemon(self) -> Daemon:
        """Return a client for the daemon that this server imitates."""
        self._clients.append(daemon := Daemon(str(self.address)))
        return daemon

    def _serve(self) -> None:
        try:
            for script in self._scripts:
                sock, _ = self._listener.accept()
                with sock:
                    sock.settimeout(PATIENCE_SECONDS)
                    script(Peer(sock, self.requests))
        except BaseException as error:
            self._failure = error
        finally:
            self._listener.close()
