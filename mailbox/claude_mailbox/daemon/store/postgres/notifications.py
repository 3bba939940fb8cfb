"""LISTEN and NOTIFY between daemons that share a database, on their own connection.

A notification only says that it is time to look. Some are lost, with a connection or in a pooler, so
nothing depends on them: a slow poll finds what was missed (see delivery/other_daemons.py).

PostgreSQL locks the whole server for the commit of a NOTIFY. So notifications never share a commit
with mail, and those noted while one is being sent go out together.
"""

import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Iterator

import psycopg
import trio

from claude_mailbox.daemon.store.notifications import Notification
from claude_mailbox.daemon.store.postgres.database import connect
from claude_mailbox.daemon.store.postgres.schema import Connection

logger = logging.getLogger(__name__)

_CHANNEL = "claude_mailbox"
_RECONNECT_SECONDS = 1.0
# PostgreSQL takes 8,000 bytes.
_NAMES = 40


class Link:
    """Listens, and sends one notification at a time, without blocking.

    Uses libpq's asynchronous interface:
    https://www.postgresql.org/docs/current/libpq-async.html
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._pg.nonblocking = 1
        # libpq closes its own socket when it finds the server gone, while somebody waits for it.
        self._socket = socket.fromfd(self._pg.socket, socket.AF_INET, socket.SOCK_STREAM)
        self._is_idle = trio.Event()
        self._is_idle.set()

    async def notify(self, payload: str) -> None:
        """Send a notification, after the one before.

        Raises:
            psycopg.Error: if the server is gone.
            trio.ClosedResourceError: if the link was closed meanwhile.
        """
        await self._is_idle.wait()
        self._pg.send_query_params(
            b"SELECT pg_notify($1, $2)", [_CHANNEL.encode(), payload.encode()]
        )
        self._is_idle = trio.Event()
        while self._pg.flush():
            await trio.lowlevel.wait_writable(self._socket)

    async def payloads(self) -> list[str]:
        """Wait for input; return the payloads of the notifications in it, if any.

        Raises:
            psycopg.Error: if the server is gone.
        """
        await trio.lowlevel.wait_readable(self._socket)
        self._pg.consume_input()
        while not self._is_idle.is_set() and not self._pg.is_busy():
            if self._pg.get_result() is None:
                self._is_idle.set()
        found: list[str] = []
        while (each := self._pg.notifies()) is not None:
            found.append(each.extra.decode())
        return found

    def close(self) -> None:
        """Close the connection; a pending ``notify`` raises ``ClosedResourceError``."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
        self._connection.close()
        self._is_idle.set()


class Notifications:
    """Sends and receives notifications. The ``note_`` methods never block.

    Args:
        url: the database's.
        daemon_id: ours; notifications that carry it are ignored.
    """

    def __init__(self, url: str, daemon_id: str) -> None:
        self._url = url
        self._daemon_id = daemon_id
        self._outgoing = Notification()
        self._has_outgoing = trio.Event()
        self._link: Link | None = None

    def note_mail(self, mailbox: str) -> None:
        self._outgoing.mail.add(mailbox)
        self._has_outgoing.set()

    def note_rename(self, old: str, new: str) -> None:
        self._outgoing.renamed.add((old, new))
        self._has_outgoing.set()

    def note_other(self) -> None:
        self._outgoing.other = True
        self._has_outgoing.set()

    async def send(self) -> None:
        """Send what was noted, until cancelled; drop what cannot be sent."""
        while True:
            await self._has_outgoing.wait()
            self._has_outgoing = trio.Event()
            notification, self._outgoing = self._outgoing, Notification()
            link = self._link
            if link is None:
                continue
            try:
                for payload in self._payloads(notification):
                    await link.notify(payload)
            except (psycopg.Error, trio.ClosedResourceError) as error:
                logger.info("could not notify other daemons: %s", error)

    def _payloads(self, notification: Notification) -> Iterator[str]:
        names, renamed = sorted(notification.mail), sorted(notification.renamed)
        first = {"renamed": renamed, "other": notification.other}
        for start in range(0, max(1, len(names)), _NAMES):
            content = {"from": self._daemon_id, "mail": names[start : start + _NAMES], **first}
            first = {}
            yield json.dumps(content, ensure_ascii=False)

    async def receive(self) -> AsyncIterator[Notification]:
        """Yield notifications for ever; the first of each connection says ``is_beginning``."""
        while True:
            try:
                async with self._listening() as link:
                    yield Notification(is_beginning=True)
                    while True:
                        if notification := self._read(await link.payloads()):
                            yield notification
            except (psycopg.Error, OSError) as error:
                logger.info("lost the connection that listens to other daemons: %s", error)
            await trio.sleep(_RECONNECT_SECONDS)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[Link]:
        link = Link(await trio.to_thread.run_sync(self._connect))
        try:
            self._link = link
            self.note_other()
            yield link
        finally:
            self._link = None
            link.close()

    def _connect(self) -> Connection:
        connection = connect(self._url)
        connection.execute(f"LISTEN {_CHANNEL}")
        return connection

    def _read(self, payloads: Iterable[str]) -> Notification | None:
        notification = Notification()
        found = False
        for payload in payloads:
            content = json.loads(payload)
            if content["from"] == self._daemon_id:
                continue
            found = True
            notification.mail.update(content["mail"])
            notification.renamed.update((old, new) for old, new in content.get("renamed", ()))
            notification.other = notification.other or content.get("other", False)
        return notification if found else None
