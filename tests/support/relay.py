"""Stands between a daemon and its PostgreSQL, and cuts a connection at a chosen moment."""

import contextlib
import os
import socket
import threading
from pathlib import Path
from urllib.parse import quote

_SOCKET = ".s.PGSQL.5432"


class PostgresRelay:
    """Passes everything on, from a Unix socket in *folder* to the server's; a context manager.

    Args:
        folder: where it listens.
        server: the folder of the server's socket.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._server = server
        self._cut_after = b""
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> "PostgresRelay":
        self._listener.bind(str(self._folder / _SOCKET))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def url(self, database: str) -> str:
        """Return the address of a database by way of the relay."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._folder), safe='')}"

    def cut_after(self, statement: bytes) -> None:
        """Let the server do the next such *statement*, and cut the connection in place of its answer."""
        self._cut_after = statement

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(os.path.join(self._server, _SOCKET))
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._return, args=(server, client), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._cut_after and self._cut_after in data:
                    self._cut_after = b""
                    # What the server answers from now on goes nowhere.
                    client.shutdown(socket.SHUT_WR)
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _return(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                with contextlib.suppress(OSError):
                    client.sendall(data)
        server.close()
        client.close()
