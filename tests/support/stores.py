"""A database of each engine, as a test of the store sees it."""

import functools
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import apsw

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres import database as postgres_database
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.schema import SCHEMA
from claude_mailbox.daemon.store.postgres.transaction import (
    create_transaction as create_postgres_transaction,
)
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from support.postgres import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"
ENGINES = (SQLITE, POSTGRESQL)


class Store(ABC):
    """An open database.

    Attributes:
        transaction: its operations, each of which commits by itself unless there was a ``begin``.
        owner_of_sessions: in SQL, a further column of sessions, and its value.
    """

    owner_of_sessions = ("", "")
    connection: Any
    transaction: Transaction

    @abstractmethod
    def open(self) -> None:
        """Open it, as a daemon does at its start."""

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that both engines know."""
        return self.connection.execute(statement).fetchall()

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Commit it."""
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo it."""
        self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close it, and check it where that can be done."""
        self.connection.close()


class SqliteStore(Store):
    """A file in a folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._path = folder / "mailbox.db"
        self._options = options
        self._use(create_sqlite(self._path))

    def open(self) -> None:
        self._use(open_database(str(self._path)))

    def _use(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.connection.pragma("synchronous", "off")
        self.transaction = create_transaction(self.connection, **self._options)

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        assert self.connection.pragma("integrity_check") == "ok"
        super().close()


class PostgresStore(Store):
    """A database of a server, which is emptied at first."""

    owner_of_sessions = (", daemon_id", ", 'here'")

    def __init__(self, server: PostgresServer, **options: Any) -> None:
        self._url = server.url(server.scratch_database())
        self._options = {"daemon_id": "here", **options}
        self.open()
        empty(self.connection)

    def open(self) -> None:
        self.connection = postgres_database.open_database(self._url)
        self.transaction = create_postgres_transaction(
            StoreConnection(self.connection), **self._options
        )

    def begin(self) -> None:
        self.connection.execute("BEGIN")


def empty(connection: Any) -> None:
    """Remove everything that a daemon has stored, and let numbers begin anew.

    For a few rows ``DELETE`` takes a thirtieth of the time of ``TRUNCATE``.
    """
    tables = connection.execute(
        "SELECT tablename FROM pg_tables"
        f" WHERE schemaname = '{SCHEMA}' AND tablename <> 'migration'"
    ).fetchall()
    with connection.transaction():
        # Without triggers, and in whatever order.
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(";".join(f"DELETE FROM {SCHEMA}.{table}" for (table,) in tables))
        connection.execute(
            "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)"
            f" FROM pg_sequences WHERE schemaname = '{SCHEMA}'"
        )


@functools.cache
def _empty_sqlite() -> bytes:
    with tempfile.TemporaryDirectory(prefix="cmb-") as folder:
        path = Path(folder) / "mailbox.db"
        close_database(open_database(str(path)))
        return path.read_bytes()


def create_sqlite(path: Path) -> apsw.Connection:
    """Return a new database: a copy, because a copy takes a tenth of the time of making one."""
    path.write_bytes(_empty_sqlite())
    return open_database(str(path))
