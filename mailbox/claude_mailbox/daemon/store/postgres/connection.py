"""The connection that the SQL of the store runs on, with as few ways to the server as possible.

Each way costs more than most statements. So a transaction begins on the way of its first
statement, and statements that do not need each other's results go together. They go as one message
of the simple protocol: should we be frozen, the server never waits for the rest of them, holding
locks. In libpq's pipeline mode it would, and no time limit of PostgreSQL's would end that.
"""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

Row = tuple[Any, ...]
# SQL and its values, as for `psycopg.Connection.execute`.
Statement = tuple[str, Any]


class StoreConnection:
    """A connection in autocommit mode.

    Attributes:
        raw: psycopg's.
    """

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self.raw = raw
        self._opening = ""
        self._empty: Statement | None = None

    def begin(self, opening: str) -> None:
        """Begin a transaction, by statements that go together with its first one."""
        self._opening = opening
        self._empty = None

    def end(self, statement: str) -> None:
        """End the transaction, if anything was done in it."""
        if self._opening:
            self._opening = ""
        else:
            self.raw.execute(statement, prepare=False)

    @property
    def in_transaction(self) -> bool:
        """Whether there is a transaction, be it a failed one."""
        return bool(self._opening) or self.raw.info.transaction_status in (
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
        )

    def execute(self, sql: str, values: Any = None) -> psycopg.Cursor[Row]:
        """Execute a statement."""
        if not self._opening:
            self._empty = None
            return self.raw.execute(sql, values)
        cursor = self._execute_all((sql, values))
        while cursor.nextset():
            pass
        return cursor

    def execute_together(self, *statements: Statement) -> list[list[Row]]:
        """Execute statements on one way to the server; return the rows of each.

        If one fails, those after it are not executed.
        """
        cursor = self._execute_all(*statements)
        results = [_rows(cursor)]
        while cursor.nextset():
            results.append(_rows(cursor))
        return results[-len(statements) :]

    def _execute_all(self, *statements: Statement) -> psycopg.Cursor[Row]:
        """Execute statements after those that open the transaction."""
        self._empty = None
        opening, self._opening = self._opening, ""
        cursor = psycopg.ClientCursor(self.raw)
        cursor.execute(opening + "; ".join(cursor.mogrify(*each) for each in statements))
        return cursor

    def note_empty(self, statement: Statement) -> None:
        """Note that *statement* would find nothing, which holds until the next is executed."""
        self._empty = statement

    def is_empty(self, statement: Statement) -> bool:
        """Return whether it is known that *statement* would find nothing."""
        return self._empty == statement


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return [] if cursor.description is None else cursor.fetchall()
