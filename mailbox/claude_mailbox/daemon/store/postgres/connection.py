"""The store's connection, with as few round trips to the server as possible.

A round trip takes longer than most statements. So `BEGIN` is sent with the first statement, and
statements that do not need each other's results are sent together. They are one message of the simple
protocol: if this process is frozen, the server never waits for the rest of them while it holds locks.
In libpq's pipeline mode it would, and no timeout of PostgreSQL would end that.
"""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

Row = tuple[Any, ...]
# SQL and its parameters, as for `psycopg.Connection.execute`.
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
        """Begin a transaction; *opening* is sent together with its first statement."""
        self._opening = opening
        self._empty = None

    def end(self, statement: str) -> None:
        """End the transaction, if it had any statement."""
        if self._opening:
            self._opening = ""
        else:
            self.raw.execute(statement, prepare=False)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, even a failed one."""
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
        """Execute statements in one round trip; return the rows of each.

        If one fails, those after it are not executed.
        """
        cursor = self._execute_all(*statements)
        results = [_rows(cursor)]
        while cursor.nextset():
            results.append(_rows(cursor))
        return results[-len(statements) :]

    def _execute_all(self, *statements: Statement) -> psycopg.Cursor[Row]:
        """Execute statements, with those that open the transaction before them."""
        self._empty = None
        opening, self._opening = self._opening, ""
        cursor = psycopg.ClientCursor(self.raw)
        cursor.execute(opening + "; ".join(cursor.mogrify(*each) for each in statements))
        return cursor

    def note_empty(self, statement: Statement) -> None:
        """Note that *statement* would find nothing, until another one is executed."""
        self._empty = statement

    def is_empty(self, statement: Statement) -> bool:
        """Return whether it is known that *statement* would find nothing."""
        return self._empty == statement


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return [] if cursor.description is None else cursor.fetchall()
