"""The connection that the SQL of the store runs on, with as few ways to the server as possible.

Each way costs more than most statements. So a transaction begins on the way of its first
statement, and statements that do not need each other's results go together, by libpq's pipeline
mode: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

Cursor = psycopg.Cursor[tuple[Any, ...]]
# SQL and its values, as for `psycopg.Connection.execute`.
Statement = tuple[str, Any]


class PipelinedConnection:
    """A connection in autocommit mode.

    Attributes:
        raw: psycopg's.
    """

    def __init__(self, raw: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.raw = raw
        self._opening: tuple[str, ...] = ()
        self._empty: Statement | None = None

    def begin(self, *opening: str) -> None:
        """Begin a transaction, by statements that go together with its first one."""
        self._opening = opening
        self._empty = None

    def end(self, statement: str) -> None:
        """End the transaction, if anything was done in it."""
        if self._opening:
            self._opening = ()
        else:
            self.raw.execute(statement, prepare=False)

    @property
    def in_transaction(self) -> bool:
        """Whether there is a transaction, be it a failed one."""
        return bool(self._opening) or self.raw.info.transaction_status in (
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
        )

    def execute(self, sql: str, values: Any = None) -> Cursor:
        """Execute a statement."""
        self._empty = None
        if self._opening:
            return self.execute_together((sql, values))[0]
        return self.raw.execute(sql, values)

    def execute_together(self, *statements: Statement) -> list[Cursor]:
        """Execute statements on one way to the server, and return their results.

        If one fails, those after it are not executed.
        """
        self._empty = None
        opening, self._opening = self._opening, ()
        execute = self.raw.execute
        if not opening and len(statements) == 1:
            return [execute(*statements[0])]
        with self.raw.pipeline():
            for each in opening:
                execute(each)
            return [execute(sql, values) for sql, values in statements]

    def note_empty(self, statement: Statement) -> None:
        """Note that *statement* would find nothing, which holds until the next is executed."""
        self._empty = statement

    def is_empty(self, statement: Statement) -> bool:
        """Return whether it is known that *statement* would find nothing."""
        return self._empty == statement
