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
        """Write the journal back when it has grown; what fails is tried again later."""
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


def _checkpoint_and_close(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
