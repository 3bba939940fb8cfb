"""The one connection: where its functions run, and when its journal is written back."""

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import apsw
import apsw.aio
import trio

from claude_mailbox.daemon.store.sqlite.schema import open_database

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Keeps the journal at about 4 MB, and writing it back at some milliseconds.
_JOURNAL_PAGES = 1000


class Database:
    """The connection, on APSW's worker thread or in place; never both at once.

    ``run`` is the ledger's runner, ``upkeep`` its upkeep. SQLite would write the journal back
    within somebody's commit; here that is done between the commits, on the thread.
    """

    def __init__(self, controller: apsw.aio.Trio, connection: apsw.Connection) -> None:
        self._controller = controller
        self._connection = connection
        self._is_open = True
        self._journal_pages = 0
        self._tried_at = 0
        self._is_short = True
        connection.set_wal_hook(self._note_journal)

    @classmethod
    async def open(cls, path: str) -> "Database":
        controller = apsw.aio.Trio(thread_name="ledger")
        try:
            return cls(controller, await _on_thread(controller, partial(open_database, path)))
        except BaseException:
            controller.close()  # type: ignore[no-untyped-call]
            raise

    async def run(self, function: Callable[[apsw.Connection], T], *, in_place: bool = False) -> T:
        """Return what *function* returns; *in_place*, it runs on the event loop."""
        if in_place:
            return function(self._connection)
        return await _on_thread(self._controller, partial(function, self._connection))

    def _note_journal(self, connection: apsw.Connection, name: str, pages: int) -> int:
        """Called by SQLite after each commit."""
        self._journal_pages = pages
        if pages < self._tried_at:  # the journal began anew
            self._tried_at = 0
        return apsw.SQLITE_OK

    async def upkeep(self) -> None:
        """Write the journal back when it has grown; what fails is tried again later.

        The first time it makes the journal's file as long as it becomes sooner or later: a flush
        of a file that grows takes twice the time of one that does not.
        """
        if self._is_short and self._journal_pages:
            self._is_short = False
            with contextlib.suppress(apsw.Error):  # without room for it things go on as they are
                await self.run(_stretch_journal)
        if self._journal_pages - self._tried_at < _JOURNAL_PAGES:
            return
        self._tried_at = self._journal_pages
        try:
            await self.run(lambda connection: connection.wal_checkpoint())
        except apsw.Error as error:
            logger.warning("could not write the journal back: %s", error)

    async def close(self) -> None:
        """Checkpoint and close; once is enough."""
        if self._is_open:
            self._is_open = False
            await self.run(_checkpoint_and_close)
            self._controller.close()  # type: ignore[no-untyped-call]


async def _on_thread(controller: apsw.aio.Trio, call: Callable[[], T]) -> T:
    # Shielded and so without a deadline: a commit is never abandoned half way.
    with trio.CancelScope(shield=True):
        value: T = await controller.send(call)
    return value


def _stretch_journal(connection: apsw.Connection) -> None:
    """Fill the journal with a transaction that is too large for the cache, and roll it back."""
    cache_size, synchronous = connection.pragma("cache_size"), connection.pragma("synchronous")
    try:
        connection.pragma("cache_size", 100)
        connection.pragma("synchronous", "full")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE stretch (filler BLOB)")
        connection.execute("INSERT INTO stretch VALUES (zeroblob(?))", (_JOURNAL_PAGES * 4096,))
        connection.execute("ROLLBACK")
        # Write something, so that the new length is on the disk before anybody waits for it.
        connection.pragma("user_version", connection.pragma("user_version"))
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.pragma("cache_size", cache_size)
        connection.pragma("synchronous", synchronous)


def _checkpoint_and_close(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
