"""The daemon's listening sockets: opened at the start, and again when they are lost.

If the TCP port is taken, the daemon serves the Unix socket and tries the port again until it is
free. If the socket file is removed, it makes a new one; if the home folder or the database is
removed, no client could find the daemon, so it ends. Both are checked every second.
"""

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable

import trio

from claude_mailbox import paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.sockets import Listener, open_tcp, open_unix
from claude_mailbox.errors import StartupError
from claude_mailbox.paths import DEFAULT_BIND

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0
# How long a start without a Unix socket waits for a port that is taken.
_PORT_SECONDS = 3.0
_PORT_PAUSE_SECONDS = 0.2


# Starts serving a listener in a nursery; returns when it accepts connections.
Serve = Callable[[trio.Nursery, Listener], Awaitable[None]]


class _Port:
    """A TCP port to listen on, and its listener once it is open.

    Attributes:
        bind: address of this machine.
        number: 0 for any free one.
        scheme: that of its address.
        is_network: whether it is for other machines.
        listener: None while the port is taken.
    """

    def __init__(self, bind: str, number: int, scheme: str, *, is_network: bool) -> None:
        self.bind = bind
        self.number = number
        self.scheme = scheme
        self.is_network = is_network
        self.listener: Listener | None = None

    def open(self, owner_of: Callable[[str, int], str | None] | None = None) -> None:
        """Open the port; see ``open_tcp`` for the argument and the errors."""
        ask = owner_of or (lambda host, port: None)
        self.listener = open_tcp(self.bind, self.number, ask, scheme=self.scheme)


def _ports(config: Config) -> list[_Port]:
    """Return the ports to listen on, the one for this machine first."""
    if not config.serves_network:
        return [_Port(config.bind, config.port, "http", is_network=False)]
    ports = [
        _Port(
            config.bind,
            config.port,
            "https" if config.tls_cert else "http",
            is_network=True,
        )
    ]
    if config.local_port:
        ports.insert(0, _Port(DEFAULT_BIND, config.local_port, "http", is_network=False))
    return ports


class Listening:
    """Opens the sockets, starts their servers, and keeps them open.

    Args:
        config: where to listen.

    Attributes:
        addresses: where clients reach the daemon now.
        missing: an error message for each socket that could not be opened yet.

    Raises:
        StartupError: if no socket can be opened.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._create_server: Callable[[], Server] | None = None
        self._serve_network: Serve | None = None
        self._socket_path = paths.socket_path()
        self._file_ids = {paths.home(): paths.file_id(paths.home())}
        self.addresses: list[str] = []
        self.missing: list[str] = []
        self._unix = self._open_unix()
        self._unix_id = paths.file_id(self._socket_path)
        self._unix_server: Server | None = None
        self._ports = _ports(config)
        for port in self._ports:
            self._open_port(port, is_only=self._unix is None)
        self._update()

    async def serve(
        self,
        nursery: trio.Nursery,
        create_server: Callable[[], Server],
        serve_network: Serve | None = None,
    ) -> None:
        """Start a server for each listener; return when they accept connections.

        Args:
            nursery: where the servers run.
            create_server: makes the server of a listener for this machine.
            serve_network: serves the listener for other machines, if there is one.
        """
        self._create_server = create_server
        self._serve_network = serve_network
        if not self._config.database_url:
            self._file_ids[self._config.db_path] = paths.file_id(self._config.db_path)
        if self._unix is not None:
            self._unix_server = await self._start(nursery, self._unix)
        for port in self._ports:
            await self._start_port(nursery, port)

    def tcp_address(self) -> str | None:
        """Return the TCP address for this machine, or None while there is none."""
        own = (port.listener for port in self._ports if not port.is_network)
        return next((listener.address for listener in own if listener is not None), None)

    async def keep_open(self, nursery: trio.Nursery, on_change: Callable[[], None]) -> None:
        """Open sockets that are missing or were lost, until cancelled.

        Raises:
            StartupError: if the home folder or the database was removed or replaced.
        """
        while True:
            await trio.sleep(_CHECK_SECONDS)
            self._check_files()
            before = list(self.addresses)
            for port in self._ports:
                if port.listener is None:
                    with contextlib.suppress(StartupError):
                        port.open()
                        await self._start_port(nursery, port)
            if self._unix is not None and paths.file_id(self._socket_path) != self._unix_id:
                await self._replace_unix(nursery)
            self._update()
            if self.addresses != before:
                logger.info("listening on %s", " and ".join(self.addresses))
                on_change()

    async def _start_port(self, nursery: trio.Nursery, port: _Port) -> None:
        if port.listener is None:
            return
        if port.is_network:
            assert self._serve_network is not None  # noqa: S101  # the configuration says so
            await self._serve_network(nursery, port.listener)
        else:
            await self._start(nursery, port.listener)

    async def _start(self, nursery: trio.Nursery, listener: Listener) -> Server:
        assert self._create_server is not None  # noqa: S101  # `serve` comes first
        server = self._create_server()
        await nursery.start(server.serve, listener)
        return server

    def _check_files(self) -> None:
        for path, identity in self._file_ids.items():
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

    def _open_port(self, port: _Port, *, is_only: bool) -> None:
        from claude_mailbox.ports import port_owner  # only a port that is taken needs it

        deadline = time.monotonic() + _PORT_SECONDS
        while True:
            try:
                port.open(port_owner)
            except StartupError as error:
                is_taken = isinstance(error.__cause__, OSError) and (
                    error.__cause__.errno == errno.EADDRINUSE
                )
                if not is_taken or (is_only and time.monotonic() > deadline):
                    raise
                if not is_only:
                    logger.warning("%s Until then there is no TCP.", error)
                    self.missing.append(str(error))
                    return
            else:
                return
            time.sleep(_PORT_PAUSE_SECONDS)

    def _update(self) -> None:
        listeners = [*(port.listener for port in self._ports), self._unix]
        open_ones = [listener for listener in listeners if listener is not None]
        self.addresses[:] = [listener.address for listener in open_ones]
        if len(open_ones) == len(listeners):
            self.missing.clear()
