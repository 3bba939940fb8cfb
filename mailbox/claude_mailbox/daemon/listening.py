"""The daemon's sockets: opened at the start, and opened again when they are lost.

A TCP port that is taken does not keep the Unix socket from serving: it is tried again until it is
free. And when somebody removes the socket file, or the home folder with all that is in it, nobody
could find the daemon any more: so both are looked at every second.
"""

import errno
import logging
import os
import socket
import time
from collections.abc import Callable

import trio

from claude_mailbox import paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.sockets import Listener, open_tcp, open_unix
from claude_mailbox.errors import StartupError

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0
# How long a start without a Unix socket waits for a port: a closed connection may hold it.
_PORT_SECONDS = 3.0
_PORT_PAUSE_SECONDS = 0.2


class Listening:
    """Opens the sockets, has them served, and keeps them open.

    Args:
        config: where to listen.

    Attributes:
        addresses: where clients reach the daemon now.
        missing: a sentence for each socket that could not be opened yet.

    Raises:
        StartupError: if no socket can be opened.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._create_server: Callable[[], Server] | None = None
        self._socket_path = paths.socket_path()
        self._places = {paths.home(): paths.file_id(paths.home())}
        self.addresses: list[str] = []
        self.missing: list[str] = []
        self._unix = self._open_unix()
        self._unix_id = paths.file_id(self._socket_path)
        self._unix_server: Server | None = None
        self._tcp = self._open_tcp(is_only=self._unix is None)
        self._update()

    async def serve(self, nursery: trio.Nursery, create_server: Callable[[], Server]) -> None:
        """Start a server for each listener; return when they accept connections.

        Args:
            nursery: where the servers run.
            create_server: makes the server of one listener.
        """
        self._create_server = create_server
        self._places[self._config.db_path] = paths.file_id(self._config.db_path)
        if self._unix is not None:
            self._unix_server = await self._start(nursery, self._unix)
        if self._tcp is not None:
            await self._start(nursery, self._tcp)

    def tcp_address(self) -> str | None:
        """Return the address on TCP, or None while there is none."""
        return None if self._tcp is None else self._tcp.address

    async def keep_open(self, nursery: trio.Nursery, on_change: Callable[[], None]) -> None:
        """Open what is missing or was lost, until cancelled.

        Raises:
            StartupError: if the home folder or the database was removed or replaced.
        """
        while True:
            await trio.sleep(_CHECK_SECONDS)
            self._check_places()
            before = list(self.addresses)
            if self._tcp is None:
                self._tcp = self._open_tcp_again()
                if self._tcp is not None:
                    await self._start(nursery, self._tcp)
            if self._unix is not None and paths.file_id(self._socket_path) != self._unix_id:
                await self._replace_unix(nursery)
            self._update()
            if self.addresses != before:
                logger.info("listening on %s", " and ".join(self.addresses))
                on_change()

    async def _start(self, nursery: trio.Nursery, listener: Listener) -> Server:
        assert self._create_server is not None  # noqa: S101  # `serve` comes first
        server = self._create_server()
        await nursery.start(server.serve, listener)
        return server

    def _check_places(self) -> None:
        for path, identity in self._places.items():
            if paths.file_id(path) != identity:
                raise StartupError(
                    f"{path} was removed or replaced while the daemon was using it, so the daemon"
                    " ended: put it back, or start the daemon again for an empty one."
                )

    async def _replace_unix(self, nursery: trio.Nursery) -> None:
        logger.warning("%s was removed: listening there again", self._socket_path)
        try:
            listener = open_unix(self._socket_path)
        except StartupError as error:
            logger.warning("%s", error)
            return
        if self._unix_server is not None:
            self._unix_server.stop_accepting()
        self._unix, self._unix_id = listener, paths.file_id(self._socket_path)
        self._unix_server = await self._start(nursery, listener)

    def _open_unix(self) -> Listener | None:
        path = self._socket_path
        if not hasattr(socket, "AF_UNIX") or len(os.fsencode(path)) > paths.SOCKET_PATH_LIMIT:
            return None
        try:
            return open_unix(path)
        except StartupError as error:
            logger.warning("%s", error)
            self.missing.append(str(error))
            return None

    def _open_tcp(self, *, is_only: bool) -> Listener | None:
        from claude_mailbox.ports import port_owner  # only a port that is taken needs it

        deadline = time.monotonic() + _PORT_SECONDS
        while True:
            try:
                return open_tcp(self._config.bind, self._config.port, port_owner)
            except StartupError as error:
                is_taken = isinstance(error.__cause__, OSError) and (
                    error.__cause__.errno == errno.EADDRINUSE
                )
                if not is_taken or (is_only and time.monotonic() > deadline):
                    raise
                if not is_only:
                    logger.warning("%s Until then there is no TCP.", error)
                    self.missing.append(str(error))
                    return None
            time.sleep(_PORT_PAUSE_SECONDS)

    def _open_tcp_again(self) -> Listener | None:
        try:
            return open_tcp(self._config.bind, self._config.port)
        except StartupError:
            return None

    def _update(self) -> None:
        listeners = [each for each in (self._tcp, self._unix) if each is not None]
        self.addresses[:] = [listener.address for listener in listeners]
        if self._tcp is not None and self._unix is not None:
            self.missing.clear()
