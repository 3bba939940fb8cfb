"""What daemons that share a database tell each other: LISTEN and NOTIFY, on a connection of its own.

A notice only says that it is time to look. Some are lost, with a connection or in a pooler, so
nobody may depend on them: a slow look around stays under them (see delivery/parties/peers.py).

PostgreSQL takes a lock of the whole server for the commit of a NOTIFY. So notices never share the
commit of mail, and those that gather while one is on its way go together.
"""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

import psycopg
import trio

from claude_mailbox.daemon.store.peers import Notice
from claude_mailbox.daemon.store.postgres.database import connect
from claude_mailbox.daemon.store.postgres.schema import Connection

T = TypeVar("T")
logger = logging.getLogger(__name__)

_CHANNEL = "claude_mailbox"
_RECONNECT_SECONDS = 1.0
# Between two notices of a busy daemon.
_PAUSE_SECONDS = 0.002
# PostgreSQL takes 8,000 bytes.
_NAMES = 40


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
        self._one_at_a_time = trio.Lock()
        self._connection: Connection | None = None

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
            connection = self._connection
            if connection is not None:
                try:
                    await self._run(lambda: self._notify(connection, notice))  # noqa: B023
                except psycopg.Error as error:
                    logger.info("could not notify other daemons: %s", error)
            await trio.sleep(_PAUSE_SECONDS)

    def _notify(self, connection: Connection, notice: Notice) -> None:
        names, renamed = sorted(notice.mail), sorted(notice.renamed)
        first = {"renamed": renamed, "other": notice.other}
        for start in range(0, max(1, len(names)), _NAMES):
            content = {"from": self._daemon_id, "mail": names[start : start + _NAMES], **first}
            first = {}
            payload = json.dumps(content, ensure_ascii=False)
            connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, payload))

    async def receive(self) -> AsyncIterator[Notice]:
        """Yield what other daemons tell, for ever; the first notice of each connection is ours."""
        while True:
            try:
                async with self._listening() as connection:
                    yield Notice(is_beginning=True)
                    while True:
                        await trio.lowlevel.wait_readable(connection.fileno())
                        async with self._one_at_a_time:
                            payloads = [each.payload for each in connection.notifies(timeout=0)]
                        if notice := self._read(payloads):
                            yield notice
            except (psycopg.Error, OSError) as error:
                logger.info("lost the connection that listens to other daemons: %s", error)
            await trio.sleep(_RECONNECT_SECONDS)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[Connection]:
        connection = await self._run(lambda: connect(self._url))
        try:
            await self._run(lambda: connection.execute(f"LISTEN {_CHANNEL}"))
            self._connection = connection
            self.note_other()
            yield connection
        finally:
            self._connection = None
            connection.close()

    async def _run(self, function: Callable[[], T]) -> T:
        async with self._one_at_a_time:
            return await trio.to_thread.run_sync(function)

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
