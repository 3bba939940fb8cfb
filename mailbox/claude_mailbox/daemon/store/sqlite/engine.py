"""SQLite as the ledger's engine: one connection, its transactions, and its journal."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import apsw
import apsw.aio
import trio

from claude_mailbox import paths
from claude_mailbox.daemon.process.lock import DatabaseLock
from claude_mailbox.daemon.store.engine import Engine
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.errors import DatabaseGone, translate
from claude_mailbox.daemon.store.sqlite.files import examine
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import DiskFailed, MailboxError

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Keeps the journal at about 4 MB, which takes some milliseconds to write back.
_JOURNAL_PAGES = 1000

# How long a transaction waits, on the thread, for another program to unlock the database.
_LOCK_WAIT_MS = 2000


# The file is checked before each durable transaction, and otherwise at most this often: a check takes
# as long as a small query.
_CHECK_SECONDS = 0.05


class Worker(Protocol):
    """Runs calls that may block, one after the other."""

    async def run(self, function: Callable[[], T]) -> T:
        """Return what *function* returns, or raise what it raises."""
        ...

    def close(self) -> None:
        """Take no more calls."""
        ...


class Thread(Worker):
    """APSW's worker thread."""

    def __init__(self) -> None:
        self._controller = apsw.aio.Trio(thread_name="ledger")

    async def run(self, function: Callable[[], T]) -> T:
        # Shielded, so that a commit is never abandoned.
        with trio.CancelScope(shield=True):
            value: T = await self._controller.send(function)
        return value

    def close(self) -> None:
        self._controller.close()  # type: ignore[no-untyped-call]


class SqliteEngine(Engine):
    """The one connection, used on the worker or on the event loop, never on both at once.

    SQLite by itself writes the journal back within a commit; here ``upkeep`` does it between commits,
    on the worker.
    """

    errors = (apsw.Error, DatabaseGone)
    works_in_place = True
    is_shared = False

    def __init__(
        self,
        connection: apsw.Connection,
        worker: Worker,
        *,
        lock: DatabaseLock | None = None,
        max_mailboxes: int | None = None,
    ) -> None:
        self.connection = connection
        self._worker = worker
        self._lock = lock
        self._transaction = create_transaction(connection, max_mailboxes=max_mailboxes)
        self._flushes = True
        self._waits: bool | None = None
        self._is_open = True
        self._has_failed = False
        self._path = connection.filename
        self._file_id = paths.file_id(self._path)
        self._journal_pages = 0
        self._tried_at = 0
        self._checked_at = 0.0
        connection.set_wal_hook(self._note_journal)

    @classmethod
    async def open(cls, path: str, *, max_mailboxes: int | None = None) -> "SqliteEngine":
        """Lock and open the database at *path*, on its own thread.

        Raises:
            StartupError: if that cannot be done (see database.py).
        """
        thread = Thread()
        lock: DatabaseLock | None = None
        try:
            # Examined first: no lock file is made beside another program's database.
            path = await thread.run(partial(examine, path))
            lock = await thread.run(partial(DatabaseLock, path))
            connection = await thread.run(partial(open_database, path))
            return cls(connection, thread, lock=lock, max_mailboxes=max_mailboxes)
        except BaseException:
            thread.close()
            if lock is not None:
                lock.close()
            raise

    async def on_thread(self, function: Callable[[], T]) -> T:
        return await self._worker.run(function)

    def begin(self, *, flush: bool, wait: bool) -> Transaction | None:
        if flush or time.monotonic() - self._checked_at > _CHECK_SECONDS:
            self._check_file()
        if flush is not self._flushes:
            self.connection.pragma("synchronous", "full" if flush else "normal")
            self._flushes = flush
        if wait is not self._waits:
            self.connection.set_busy_timeout(_LOCK_WAIT_MS if wait else 0)
            self._waits = wait
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            if wait:
                raise
            return None
        return self._transaction

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def savepoint(self) -> None:
        self.connection.execute("SAVEPOINT job")

    def rollback_to_savepoint(self) -> None:
        self.connection.execute("ROLLBACK TO job")

    def release_savepoint(self) -> None:
        self.connection.execute("RELEASE job")

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def may_retry(self, error: Exception) -> bool:
        return False

    def translate(self, error: Exception) -> MailboxError:
        found = translate(error, self.connection.filename)
        self._has_failed = self._has_failed or isinstance(found, DiskFailed)
        return found

    def _is_gone(self) -> bool:
        return bool(self._path) and paths.file_id(self._path) != self._file_id

    def _check_file(self) -> None:
        """Check that the file is still there.

        Raises:
            DatabaseGone: if it was removed or replaced.
        """
        if self._is_gone():
            raise DatabaseGone(
                f"The database {self._path} was removed or replaced, so the daemon ends: put it"
                " back, or start the daemon again."
            )
        self._checked_at = time.monotonic()

    def _note_journal(self, connection: apsw.Connection, name: str, pages: int) -> int:
        """Called by SQLite after each commit."""
        self._journal_pages = pages
        if pages < self._tried_at:  # the journal began anew
            self._tried_at = 0
        return apsw.SQLITE_OK

    async def upkeep(self) -> None:
        """Write the journal back when it has grown; try again later if that fails.

        Raises:
            DiskFailed: if a flush failed.
        """
        if self._journal_pages - self._tried_at < _JOURNAL_PAGES:
            return
        self._tried_at = self._journal_pages
        try:
            await self._worker.run(self.connection.wal_checkpoint)
        except apsw.Error as error:
            found = self.translate(error)
            if isinstance(found, DiskFailed):
                raise found from error
            logger.warning("could not write the journal back: %s", error)

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                await self._worker.run(self._close)
            finally:
                self._worker.close()
                if self._lock is not None:
                    self._lock.close()

    def _close(self) -> None:
        if self._is_gone():
            self.connection.close()  # another file may be there now
            return
        if self._has_failed:
            # Only a part of the journal may be on the disk, so it must not be written back before
            # the next start has flushed it.
            self.connection.close()
            return
        try:
            close_database(self.connection)
        except apsw.Error as error:
            logger.warning("could not write the journal back: %s", error)
