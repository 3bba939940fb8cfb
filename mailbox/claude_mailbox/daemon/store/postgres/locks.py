"""Locks of mailboxes, which make each mailbox first in, first out across all daemons.

A transaction that changes what waits in a mailbox locks its row until the commit, so that messages get
their numbers in the order of commits. A transaction may need many mailboxes in any order, and two
daemons must not wait for each other. So it waits only for its first lock. If another one is taken, the
whole transaction is undone and tried again, and first locks everything that it turned out to need, in
the same order on all daemons.

Statements under a lock are sent together with it. A statement sees what was committed when it began,
and so the changes of those who had the lock before.
"""

from collections.abc import Iterable

from psycopg import errors as pg

from claude_mailbox.daemon.store.postgres.connection import Row, Statement, StoreConnection

_OF_MESSAGES = "id IN (SELECT recipient_id FROM message WHERE id = ANY(%s))"


class MailboxLocks:
    """What the present transaction has locked, and what its next try locks first."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._held: set[int] = set()
        self._held_at_savepoint: set[int] = set()
        self._wanted_ids: set[int] = set()
        self._wanted_names: set[str] = set()
        self._wanted_messages: set[int] = set()
        self._may_wait = True

    def begin(self) -> None:
        """Begin a transaction with all locks that the try before needed."""
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
        """Note that the transaction was committed, or will not be tried again."""
        self._held.clear()
        self._wanted_ids.clear()
        self._wanted_names.clear()
        self._wanted_messages.clear()
        self._may_wait = True

    def savepoint(self) -> None:
        """Note what is locked now."""
        self._held_at_savepoint = set(self._held)

    def rollback_to_savepoint(self) -> None:
        """Forget the locks since the savepoint, which PostgreSQL has freed."""
        self._held = set(self._held_at_savepoint)

    def by_name(self, name: str) -> tuple[int, str, int | None] | None:
        """Lock the mailbox of that name; return its id, name and time of last use."""
        rows, _ = self._lock("name = %s", name, names={name})
        return rows[0] if rows else None

    def by_function(
        self, statement: str, values: Row, *, name: str = "", messages: Iterable[int] = ()
    ) -> list[Row]:
        """Call a function of the database that locks the mailbox of that name, or of messages.

        Its last argument, whether it may wait for the lock, is added here.

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
        """Lock a mailbox, if it exists."""
        self.all([mailbox_id])

    def all(self, mailbox_ids: Iterable[int]) -> None:
        """Lock several mailboxes."""
        missing = list(set(mailbox_ids) - self._held)
        if missing:
            self._lock("id = ANY(%s)", missing, ids=missing)

    def wait_no_more(self) -> None:
        """Note a lock: from now on waiting for another one could be a deadlock."""
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
        # Outside a transaction a lock is freed at once, so waiting for it is safe.
        self._may_wait = not self._connection.in_transaction
