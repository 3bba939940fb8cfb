"""A database of each engine, as a test of the store sees it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres import database as postgres_database
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.schema import SCHEMA
from claude_mailbox.daemon.store.postgres.transaction import (
    create_transaction as create_postgres_transaction,
)
from claude_mailbox.daemon.store.sqlite.database import open_database
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
        self._path = str(folder / "mailbox.db")
        self._options = options
        self.open()

    def open(self) -> None:
        self.connection = open_database(self._path)
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

    To truncate a table takes a millisecond, and there are 30; what there is to delete is little.
    """
    connection.execute(
        f"""
        SET session_replication_role = replica;
        DO $$
        DECLARE each record; is_used boolean;
        BEGIN
            FOR each IN SELECT tablename AS name FROM pg_tables
                WHERE schemaname = '{SCHEMA}' AND tablename <> 'migration' LOOP
                EXECUTE format('SELECT EXISTS (SELECT FROM %I)', each.name) INTO is_used;
                IF is_used THEN EXECUTE format('DELETE FROM %I', each.name); END IF;
            END LOOP;
            PERFORM setval(format('%I.%I', schemaname, sequencename), 1, false)
                FROM pg_sequences WHERE schemaname = '{SCHEMA}';
        END $$;
        RESET session_replication_role;
        """
    )
