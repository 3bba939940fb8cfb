"""Locks of mailboxes, which make each one first in, first out across all daemons.

Whoever changes what waits in a mailbox holds its row locked until the commit: so numbers are given
in the order of commits. A transaction has jobs for many mailboxes in any order, and two daemons
that wait for each other would wait for ever. So only the first lock of a transaction is waited for.
If another one cannot be had at once, the whole transaction is undone and begun anew, this time
with a lock on everything that it turned out to need, taken in one order by all daemons.
"""

from collections.abc import Iterable

from psycopg import errors as pg

from claude_mailbox.daemon.store.postgres.schema import Connection


class MailboxLocks:
    """What the present transaction has locked, and what its next try needs from the start."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held: set[int] = set()
        self._held_at_savepoint: set[int] = set()
        self._wanted_ids: set[int] = set()
        self._wanted_names: set[str] = set()
        self._may_wait = True

    def begin(self) -> None:
        """Begin a transaction, with all locks that the try before would have needed."""
        self._held.clear()
        self._may_wait = True
        if self._wanted_ids or self._wanted_names:
            rows = self._connection.execute(
                "SELECT id FROM mailbox WHERE id = ANY(%s) OR name = ANY(%s)"
                " ORDER BY id FOR NO KEY UPDATE",
                (list(self._wanted_ids), list(self._wanted_names)),
            )
            self._held.update(number for (number,) in rows)
            self._may_wait = False

    def end(self) -> None:
        """The transaction was committed, or will not be tried again."""
        self._held.clear()
        self._wanted_ids.clear()
        self._wanted_names.clear()
        self._may_wait = True

    def savepoint(self) -> None:
        """Remember what is locked by now."""
        self._held_at_savepoint = set(self._held)

    def rollback_to_savepoint(self) -> None:
        """Forget what was locked since: PostgreSQL has freed it."""
        self._held = set(self._held_at_savepoint)

    def by_name(self, name: str) -> tuple[int, str, int | None] | None:
        """Lock the mailbox of that name; return id, name and when it was last seen."""
        row = self._lock("name = %s", name, names={name})
        return None if row is None else (row[0], row[1], row[2])

    def by_id(self, mailbox_id: int) -> None:
        """Lock a mailbox, if it is there."""
        if mailbox_id not in self._held:
            self._lock("id = %s", mailbox_id, ids={mailbox_id})

    def all(self, mailbox_ids: Iterable[int]) -> None:
        """Lock several mailboxes."""
        for mailbox_id in sorted(set(mailbox_ids) - self._held):
            self.by_id(mailbox_id)

    def wait_no_more(self) -> None:
        """Something else is locked: whoever waits now could be waited for."""
        self._may_wait = self._may_wait and not self._is_in_transaction()

    def _lock(
        self,
        condition: str,
        value: object,
        ids: Iterable[int] = (),
        names: Iterable[str] = (),
    ) -> tuple[int, str, int | None] | None:
        wait = "" if self._may_wait else " NOWAIT"
        try:
            row = self._connection.execute(
                "SELECT id, name, last_seen_at FROM mailbox"
                f" WHERE {condition} FOR NO KEY UPDATE{wait}",
                (value,),
            ).fetchone()
        except pg.LockNotAvailable:
            self._wanted_ids.update(self._held, ids)
            self._wanted_names.update(names)
            raise
        if row is None:
            return None
        self._held.add(row[0])
        # A statement by itself frees its locks at its end, and so may always wait.
        self._may_wait = self._connection.autocommit and not self._is_in_transaction()
        return row[0], row[1], row[2]

    def _is_in_transaction(self) -> bool:
        return self._connection.info.transaction_status.value != 0
