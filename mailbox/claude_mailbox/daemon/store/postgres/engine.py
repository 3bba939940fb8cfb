"""PostgreSQL as the ledger's engine: one connection, and a new one when that is lost.

The server undoes the transaction of a lost connection, so it is run again on the next one. Only if the
connection is lost during a commit is it unknown whether that was stored. A new connection is used only
when the server has ended the former one, so that no commit of that comes later.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import psycopg
import trio

from claude_mailbox import __version__
from claude_mailbox.daemon.process.clock import SteadyClock, elapsed
from claude_mailbox.daemon.store.engine import Engine
from claude_mailbox.daemon.store.notifications import PollResult
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.database import connect, end_former, open_database
from claude_mailbox.daemon.store.postgres.errors import CONFLICTS, away, translate
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.leases import PostgresLeases
from claude_mailbox.daemon.store.postgres.nonces import Nonces
from claude_mailbox.daemon.store.postgres.schema import Connection
from claude_mailbox.daemon.store.postgres.transaction import create_transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.refusals import DatabaseAway, OutcomeUnknown

T = TypeVar("T")
logger = logging.getLogger(__name__)

BEAT_SECONDS = 4.0
# A daemon without a heartbeat for so long counts as dead.
DEAD_SECONDS = 15
# How often to connect again to a server that cannot be reached.
_RECONNECT_SECONDS = 0.5

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class Worker(Protocol):
    """Runs calls that may block, one after the other."""

    async def run(self, function: Callable[[], T]) -> T:
        """Return what *function* returns, or raise what it raises."""
        ...


class Thread(Worker):
    """A thread of trio's, never more than one at a time."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def run(self, function: Callable[[], T]) -> T:
        # Shielded, so that a commit is never abandoned.
        with trio.CancelScope(shield=True):
            value: T = await trio.to_thread.run_sync(function, limiter=self._limiter)
        return value


class PostgresEngine(Engine):
    """The one connection, used only on the worker.

    Args:
        url: the database's.
        daemon_id: an id of this daemon that stays the same when it is restarted.
        name: its name for people.
        clock: set by the server's clock.
        worker: runs what may block.
        max_mailboxes: how many there may be.
    """

    errors = (psycopg.Error, DatabaseAway, OutcomeUnknown)
    works_in_place = False
    is_shared = True

    def __init__(
        self,
        url: str,
        daemon_id: str,
        name: str,
        clock: SteadyClock,
        worker: Worker,
        *,
        max_mailboxes: int | None = None,
    ) -> None:
        self._url = url
        self._daemon_id = daemon_id
        self._name = name
        self._clock = clock
        self._worker = worker
        self._max_mailboxes = max_mailboxes
        self._nonces = Nonces()
        self._beat_at = float("-inf")
        self._tried_at = float("-inf")
        self._away: DatabaseAway | None = None
        self._use(open_database(url, daemon_id))
        self._beat()

    @classmethod
    async def open(
        cls,
        url: str,
        daemon_id: str,
        name: str,
        clock: SteadyClock,
        *,
        max_mailboxes: int | None = None,
    ) -> "PostgresEngine":
        """Connect, on the engine's own thread.

        Raises:
            StartupError: if that cannot be done (see database.py).
        """
        worker = Thread()
        return await worker.run(
            lambda: cls(url, daemon_id, name, clock, worker, max_mailboxes=max_mailboxes)
        )

    def _use(self, connection: Connection) -> None:
        self.connection = connection
        self._sql = StoreConnection(connection)
        self._locks = MailboxLocks(self._sql)
        self._transaction = create_transaction(
            self._sql,
            daemon_id=self._daemon_id,
            locks=self._locks,
            nonces=self._nonces,
            max_mailboxes=self._max_mailboxes,
        )
        assert isinstance(self._transaction.leases, PostgresLeases)  # noqa: S101  # made there
        self._leases = self._transaction.leases

    async def on_thread(self, function: Callable[[], T]) -> T:
        return await self._worker.run(function)

    def begin(self, *, flush: bool, wait: bool) -> Transaction | None:
        if self.connection.closed:
            self._connect()
        if time.monotonic() - self._beat_at >= BEAT_SECONDS:
            self._beat()
        self._sql.begin("BEGIN; " if flush else "BEGIN; SET LOCAL synchronous_commit = off; ")
        self._nonces.begin()
        self._locks.begin()
        if self._nonces.doubtful:
            self._leases.give_up(self._nonces.doubtful)
        return self._transaction

    def _connect(self) -> None:
        now = time.monotonic()
        if self._away is not None and now - self._tried_at < _RECONNECT_SECONDS:
            raise self._away
        connection = None
        try:
            connection = connect(self._url)
            end_former(connection, self._daemon_id)
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            self._tried_at = time.monotonic()
            if self._away is None:
                logger.warning("%s", away(error))
            self._away = away(error)
            raise self._away from None
        self._use(connection)
        if self._away is not None:
            logger.info("the database server is back")
        self._away = None
        # Other daemons may have counted us as dead.
        self._beat_at = float("-inf")

    def _beat(self) -> None:
        """Write the heartbeat, and set the clock by the server's."""
        asked = elapsed()
        row = self.connection.execute(
            "INSERT INTO daemon (id, name, version, started_at, beat_at)"
            f" VALUES (%s, %s, %s, {_NOW}, {_NOW}) ON CONFLICT (id) DO UPDATE SET"
            " name = excluded.name, version = excluded.version, beat_at = excluded.beat_at"
            f" RETURNING {_NOW}",
            (self._daemon_id, self._name, __version__),
        ).fetchone()
        if row is not None:
            self._clock.set(row[0], asked, elapsed())
        self._beat_at = time.monotonic()

    @property
    def in_transaction(self) -> bool:
        return self._sql.in_transaction

    def savepoint(self) -> None:
        self._sql.execute("SAVEPOINT job")
        self._locks.savepoint()

    def rollback_to_savepoint(self) -> None:
        self._sql.execute("ROLLBACK TO job")
        self._locks.rollback_to_savepoint()

    def release_savepoint(self) -> None:
        self._sql.execute("RELEASE job")

    def commit(self) -> None:
        try:
            self._sql.end("COMMIT")
        except psycopg.Error as error:
            if not self.connection.closed:
                raise
            self._nonces.lost()
            raise OutcomeUnknown(
                f"The connection to the database was lost ({translate(error)}) and nobody knows"
                " whether this was stored: look, or try again. A send with the same idempotencyKey"
                " is stored only once."
            ) from error
        self._locks.end()
        self._nonces.committed()

    def rollback(self) -> None:
        if self.in_transaction:
            try:
                self._sql.end("ROLLBACK")
            except psycopg.Error:
                self.connection.close()

    def may_retry(self, error: Exception) -> bool:
        if isinstance(error, CONFLICTS):
            return True
        return isinstance(error, psycopg.Error) and self.connection.closed

    def translate(self, error: Exception) -> MailboxError:
        return translate(error)

    async def upkeep(self) -> None:
        """Nothing: PostgreSQL's autovacuum does it."""

    async def poll(self, watched: Sequence[str]) -> PollResult:
        """Release what dead daemons leased; find the *watched* mailboxes that have mail.

        Raises:
            MailboxError: if the database cannot be reached.
        """
        return await self._worker.run(lambda: self._poll(watched))

    def _poll(self, watched: Sequence[str]) -> PollResult:
        while True:
            was_lost = self.connection.closed
            try:
                self.begin(flush=False, wait=True)
                found = self._poll_once(watched)
                self.commit()
            except self.errors as error:
                self.rollback()
                if self.may_retry(error) and not was_lost:
                    continue
                raise self.translate(error) from None
            return found

    def _poll_once(self, watched: Sequence[str]) -> PollResult:
        execute = self._sql.execute
        execute(
            f"DELETE FROM daemon WHERE id <> %s AND beat_at < {_NOW} - %s",
            (self._daemon_id, DEAD_SECONDS * 1000),
        )
        daemons = [name for (name,) in execute("SELECT name FROM daemon ORDER BY name")]
        released = self._leases.give_up_abandoned()
        to_call = execute(
            "SELECT watched FROM unnest(%s::text[]) AS watched"
            " LEFT JOIN mailbox ON mailbox.name = watched WHERE mailbox.id IS NULL OR EXISTS"
            " (SELECT 1 FROM backlog WHERE recipient_id = mailbox.id AND waiting > 0)",
            (list(watched),),
        ).fetchall()
        return PollResult(daemons, released, [name for (name,) in to_call])

    async def close(self) -> None:
        await self._worker.run(self._close)

    def _close(self) -> None:
        if not self.connection.closed:
            try:
                self.connection.execute("DELETE FROM daemon WHERE id = %s", (self._daemon_id,))
            except psycopg.Error as error:
                logger.warning("could not sign off from the database: %s", translate(error))
            self.connection.close()
