"""Locks of mailboxes, which make each one first in, first out across all daemons.

Whoever changes what waits in a mailbox holds its row locked until the commit: so numbers are given
in the order of commits. A transaction has jobs for many mailboxes in any order, and two daemons
that wait for each other would wait for ever. So only the first lock of a transaction is waited for,
or several in one order. If another one cannot be had at once, the whole transaction is undone and
begun anew, this time with a lock on everything that it turned out to need, taken in that order by
all daemons.

What is done under a lock goes to the server together with it. A statement sees what was committed
when it began, and so it sees all that those did who had the lock before.
"""

from collections.abc import Iterable

from psycopg import errors as pg

from claude_mailbox.daemon.store.postgres.connection import Row, Statement, StoreConnection

_OF_MESSAGES = "id IN (SELECT recipient_id FROM message WHERE id = ANY(%s))"


class MailboxLocks:
    """What the present transaction has locked, and what its next try needs from the start."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._held: set[int] = set()
        self._held_at_savepoint: set[int] = set()
        self._wanted_ids: set[int] = set()
        self._wanted_names: set[str] = set()
        self._wanted_messages: set[int] = set()
        self._may_wait = True

    def begin(self) -> None:
        """Begin a transaction, with all locks that the try before would have needed."""
        self._held.clear()
        self._may_wait = True
        if self._wanted_ids or self._wanted_names or self._wanted_messages:
            rows = self._connection.execute(
                f"SELECT id FROM mailbox WHERE id = ANY(%s) OR name = ANY(%s) OR {_OF_MESSAGES}"
                " ORDER BY id FOR NO KEY UPDATE",
                (list(self._wanted_ids), list(self._wanted_names), list(self._wanted_messages)),
            )
            self._held.update(number for (number,) in rows)
            self._may_wait = False

    def end(self) -> None:
        """The transaction was committed, or will not be tried again."""
        self._held.clear()
        self._wanted_ids.clear()
        self._wanted_names.clear()
        self._wanted_messages.clear()
        self._may_wait = True

    def savepoint(self) -> None:
        """Remember what is locked by now."""
        self._held_at_savepoint = set(self._held)

    def rollback_to_savepoint(self) -> None:
        """Forget what was locked since: PostgreSQL has freed it."""
        self._held = set(self._held_at_savepoint)

    def by_name(self, name: str) -> tuple[int, str, int | None] | None:
        """Lock the mailbox of that name; return id, name and when it was last seen."""
        rows, _ = self._lock("name = %s", name, names={name})
        return rows[0] if rows else None

    def by_function(
        self, statement: str, values: Row, *, name: str = "", messages: Iterable[int] = ()
    ) -> list[Row]:
        """Call a function of the database that locks the mailbox of that name, or of messages.

        Its last argument is whether it may wait for the lock, and comes from here.

        Returns:
            Its rows, each of which begins with the id of a mailbox or None.
        """
        try:
            rows = self._connection.execute(statement, (*values, self._may_wait)).fetchall()
        except pg.LockNotAvailable:
            self._want(names={name}, messages=messages)
            raise
        self._hold(row[0] for row in rows if row[0] is not None)
        return rows

    def of_messages_then(self, numbers: Iterable[int], *statements: Statement) -> list[list[Row]]:
        """Lock the mailboxes of messages, execute *statements* after that; return their results."""
        numbers = list(numbers)
        return self._lock(_OF_MESSAGES, numbers, *statements, messages=numbers)[1]

    def by_id(self, mailbox_id: int) -> None:
        """Lock a mailbox, if it is there."""
        self.all([mailbox_id])

    def all(self, mailbox_ids: Iterable[int]) -> None:
        """Lock several mailboxes."""
        missing = list(set(mailbox_ids) - self._held)
        if missing:
            self._lock("id = ANY(%s)", missing, ids=missing)

    def wait_no_more(self) -> None:
        """Something else is locked: whoever waits now could be waited for."""
        self._may_wait = self._may_wait and not self._connection.in_transaction

    def _lock(
        self,
        condition: str,
        value: object,
        *statements: Statement,
        ids: Iterable[int] = (),
        names: Iterable[str] = (),
        messages: Iterable[int] = (),
    ) -> tuple[list[tuple[int, str, int | None]], list[list[Row]]]:
        wait = "" if self._may_wait else " NOWAIT"
        lock = (
            f"SELECT id, name, last_seen_at FROM mailbox WHERE {condition}"
            f" ORDER BY id FOR NO KEY UPDATE{wait}",
            (value,),
        )
        try:
            locked, *results = self._connection.execute_together(lock, *statements)
        except pg.LockNotAvailable:
            self._want(ids, names, messages)
            raise
        rows = [(row[0], row[1], row[2]) for row in locked]
        if rows:
            self._hold(row[0] for row in rows)
        return rows, results

    def _want(
        self, ids: Iterable[int] = (), names: Iterable[str] = (), messages: Iterable[int] = ()
    ) -> None:
        self._wanted_ids.update(self._held, ids)
        self._wanted_names.update(names)
        self._wanted_messages.update(messages)

    def _hold(self, mailbox_ids: Iterable[int]) -> None:
        self._held.update(mailbox_ids)
        # What is no transaction frees its locks at its end, and so may always wait.
        self._may_wait = not self._connection.in_transaction
