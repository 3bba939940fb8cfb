"""What daemons that share a database tell each other: LISTEN and NOTIFY, on a connection of its own.

A notice only says that it is time to look. Some are lost, with a connection or in a pooler, so
nobody may depend on them: a slow look around stays under them (see delivery/parties/peers.py).

PostgreSQL takes a lock of the whole server for the commit of a NOTIFY, which is not flushed. So
notices never share the commit of mail, and those that gather while one is on its way go together.
"""

import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Iterator

import psycopg
import trio

from claude_mailbox.daemon.store.peers import Notice
from claude_mailbox.daemon.store.postgres.database import connect
from claude_mailbox.daemon.store.postgres.schema import Connection

logger = logging.getLogger(__name__)

_CHANNEL = "claude_mailbox"
_RECONNECT_SECONDS = 1.0
# PostgreSQL takes 8,000 bytes.
_NAMES = 40


class Link:
    """The connection: listens, and notifies, one notice at a time. Nothing blocks.

    It is libpq's asynchronous interface, on trio:
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
        """Notify, once the notice before is on its way.

        Raises:
            psycopg.Error: if the server is gone.
            trio.ClosedResourceError: if it is found so meanwhile.
        """
        await self._is_idle.wait()
        self._pg.send_query_params(
            b"SELECT pg_notify($1, $2)", [_CHANNEL.encode(), payload.encode()]
        )
        self._is_idle = trio.Event()
        while self._pg.flush():
            await trio.lowlevel.wait_writable(self._socket)

    async def payloads(self) -> list[str]:
        """Wait until something comes; return the notices among it.

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
        """Let go of the server; who is about to notify is told so."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()
        self._connection.close()
        self._is_idle.set()


class Notices:
    """Sends and receives. ``note_...`` never block.

    Args:
        url: where the database is.
        daemon_id: ours, so that we know our own notices.
    """

    def __init__(self, url: str, daemon_id: str) -> None:
        self._url = url
        self._daemon_id = daemon_id
        self._outgoing = Notice()
        self._has_outgoing = trio.Event()
        self._link: Link | None = None

    def note_mail(self, mailbox: str) -> None:
        """Tell that mail waits in *mailbox*."""
        self._outgoing.mail.add(mailbox)
        self._has_outgoing.set()

    def note_rename(self, old: str, new: str) -> None:
        """Tell that a mailbox has a new name."""
        self._outgoing.renamed.add((old, new))
        self._has_outgoing.set()

    def note_other(self) -> None:
        """Tell that names are gone, or that we are here."""
        self._outgoing.other = True
        self._has_outgoing.set()

    async def send(self) -> None:
        """Send what is noted, until cancelled. What cannot be sent is dropped."""
        while True:
            await self._has_outgoing.wait()
            self._has_outgoing = trio.Event()
            notice, self._outgoing = self._outgoing, Notice()
            link = self._link
            if link is None:
                continue
            try:
                for payload in self._payloads(notice):
                    await link.notify(payload)
            except (psycopg.Error, trio.ClosedResourceError) as error:
                logger.info("could not notify other daemons: %s", error)

    def _payloads(self, notice: Notice) -> Iterator[str]:
        names, renamed = sorted(notice.mail), sorted(notice.renamed)
        first = {"renamed": renamed, "other": notice.other}
        for start in range(0, max(1, len(names)), _NAMES):
            content = {"from": self._daemon_id, "mail": names[start : start + _NAMES], **first}
            first = {}
            yield json.dumps(content, ensure_ascii=False)

    async def receive(self) -> AsyncIterator[Notice]:
        """Yield what other daemons tell, for ever; the first notice of each connection is ours."""
        while True:
            try:
                async with self._listening() as link:
                    yield Notice(is_beginning=True)
                    while True:
                        if notice := self._read(await link.payloads()):
                            yield notice
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

    def _read(self, payloads: Iterable[str]) -> Notice | None:
        notice = Notice()
        found = False
        for payload in payloads:
            content = json.loads(payload)
            if content["from"] == self._daemon_id:
                continue
            found = True
            notice.mail.update(content["mail"])
            notice.renamed.update((old, new) for old, new in content.get("renamed", ()))
            notice.other = notice.other or content.get("other", False)
        return notice if found else None
