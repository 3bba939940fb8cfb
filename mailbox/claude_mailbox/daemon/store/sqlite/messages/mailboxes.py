"""SQL of mailboxes and their names."""

from collections.abc import Iterable, Mapping

import apsw

from claude_mailbox.daemon.store.operations.mail import MailboxStore
from claude_mailbox.daemon.store.sqlite.messages.keys import SqliteKeys
from claude_mailbox.daemon.store.sqlite.schema import DELAYED, HELD, LEASED, NOTED, WAITING
from claude_mailbox.errors import BadRequest, QuotaFull
from claude_mailbox.model.mail import Listing, Rename, Totals
from claude_mailbox.model.names import check_new_name
from claude_mailbox.refusals import NotFound, TargetExists

# Columns with the end of something, and the condition for messages where it is still to come.
_ENDS = {
    "lease_until": f"state = {LEASED}",
    "visible_at": f"visible_at IS NOT NULL AND state = {DELAYED}",
    "expires_at": f"expires_at IS NOT NULL AND state IN ({WAITING}, {LEASED}, {DELAYED}, {HELD})",
    "answer_by": "answer_by IS NOT NULL AND outcome IS NULL",
}


class SqliteMailboxes(MailboxStore):
    def __init__(self, connection: apsw.Connection, keys: SqliteKeys, limit: int | None) -> None:
        self._connection = connection
        self._keys = keys
        self._limit = limit

    def find(self, name: str) -> tuple[int, str] | None:
        """Return the id and present name of the mailbox that has, or had, *name*; or None."""
        row = self._row(name)
        return None if row is None else row[:2]

    def _row(self, name: str) -> tuple[int, str, int | None] | None:
        """Return also when it was last used, as far as that is written."""
        row: tuple[int, str, int | None] | None = self._connection.execute(
            "SELECT id, name, last_seen_at FROM mailbox WHERE name = ?", (name,)
        ).get
        if row is None:
            row = self._connection.execute(
                "SELECT mailbox.id, mailbox.name, last_seen_at FROM alias"
                " JOIN mailbox ON mailbox.id = alias.mailbox_id WHERE alias.name = ?",
                (name,),
            ).get
        return row

    def id_of_owner(self, name: str) -> int | None:
        """Return the id of the mailbox that has, or had, *name*, even if it was deleted."""
        found = self.find(name)
        if found is not None:
            return found[0]
        deleted: int | None = self._connection.execute(
            "SELECT mailbox_id FROM deleted_mailbox WHERE name = ?", (name,)
        ).get
        return deleted

    def find_or_make(self, name: str, now: int) -> tuple[int, str]:
        """Return the id and present name of a mailbox that is used, and make it if it is new."""
        row = self._row(name)
        if row is None:
            return self._make(name, now, seen_at=now), name
        mailbox_id, present, last_seen_at = row
        if last_seen_at is None:
            self._connection.execute(
                "UPDATE mailbox SET last_seen_at = ? WHERE id = ?", (now, mailbox_id)
            )
        return mailbox_id, present

    def recipient(self, name: str, now: int) -> tuple[int, str, int | None]:
        """Return the id, present name and time of last use of a mailbox that is sent to.

        A new one is made, and counts as never used.
        """
        return self._row(name) or (self._make(name, now, seen_at=None), name, None)

    def _make(self, name: str, now: int, *, seen_at: int | None) -> int:
        check_new_name(name)
        self._check_limit()
        # A mailbox that was deleted gets its id again, and with it its history.
        former_id: int | None = self._connection.execute(
            "DELETE FROM deleted_mailbox WHERE name = ? RETURNING mailbox_id", (name,)
        ).get
        self._connection.execute(
            "INSERT INTO mailbox (id, name, created_at, last_seen_at) VALUES (?, ?, ?, ?)",
            (former_id, name, now, seen_at),
        )
        return self._connection.last_insert_rowid()

    def _check_limit(self) -> None:
        if self._limit is None:
            return
        # Counts the pages of an index, which takes 10 us for 10,000 mailboxes.
        count = self._connection.execute("SELECT count(*) FROM mailbox").get
        if count >= self._limit:
            raise QuotaFull(
                f"There are {count} mailboxes already (the limit is {self._limit}, maxMailboxes):"
                " use one of them, delete one that nobody needs, or raise the limit. Nothing was"
                " stored."
            )

    def counts(self, mailbox_id: int) -> tuple[int, int]:
        """Return how many messages wait in a mailbox, and how many pend there."""
        counts: tuple[int, int] = self._connection.execute(
            "SELECT coalesce(sum(waiting), 0), coalesce(sum(waiting + leased + hidden), 0)"
            " FROM backlog WHERE recipient_id = ?",
            (mailbox_id,),
        ).get
        return counts

    def present_name(self, name: str) -> str | None:
        found = self.find(name)
        return None if found is None else found[1]

    def register(self, name: str, now: int) -> str:
        return self.find_or_make(name, now)[1]

    def mark_seen(self, seen: Mapping[str, int]) -> None:
        for name, at in seen.items():
            found = self.find(name)
            if found is not None:
                self._connection.execute(
                    "UPDATE mailbox SET last_seen_at = max(coalesce(last_seen_at, 0), ?)"
                    " WHERE id = ?",
                    (at, found[0]),
                )

    def describe(self, name: str, text: str | None, now: int) -> None:
        mailbox_id, _ = self.find_or_make(name, now)
        self._connection.execute(
            "UPDATE mailbox SET description = ? WHERE id = ?", (text, mailbox_id)
        )

    def listings(
        self, caller: str | None, seen_since: int, awake: Iterable[str] = ()
    ) -> list[Listing]:
        found = self.find(caller) if caller is not None else None
        caller_id = found[0] if found else None
        keep = set(awake)
        rows = self._connection.execute(
            "SELECT mailbox.id, name, created_at, last_seen_at,"
            " coalesce((SELECT sum(waiting) FROM backlog WHERE recipient_id = mailbox.id), 0),"
            " coalesce((SELECT waiting FROM backlog"
            " WHERE recipient_id = ? AND sender_id = mailbox.id), 0), description"
            " FROM mailbox ORDER BY coalesce(last_seen_at, created_at) DESC, mailbox.id",
            (caller_id,),
        )
        return [
            Listing(name, last_seen_at, pending, for_caller, description)
            for mailbox_id, name, created_at, last_seen_at, pending, for_caller, description in rows
            if mailbox_id == caller_id
            or for_caller
            or name in keep
            or (last_seen_at if last_seen_at is not None else created_at) >= seen_since
        ]

    def names(self, mailbox_ids: Iterable[int]) -> list[str]:
        names = (
            self._connection.execute("SELECT name FROM mailbox WHERE id = ?", (mailbox_id,)).get
            for mailbox_id in mailbox_ids
        )
        return [name for name in names if name is not None]

    def totals(self) -> Totals:
        counts: tuple[int, int, int, int] = self._connection.execute(
            "SELECT (SELECT count(*) FROM mailbox), coalesce(sum(waiting), 0),"
            " coalesce(sum(leased), 0),"
            " coalesce((SELECT max(id) FROM message), 0) FROM backlog"
        ).get
        return Totals(*counts)

    def correct_times(self, now: int) -> None:
        latest: int = self._connection.execute(
            "SELECT max(coalesce((SELECT max(last_seen_at) FROM mailbox), 0),"
            " coalesce((SELECT sent_at FROM message ORDER BY id DESC LIMIT 1), 0))"
        ).get
        if latest <= now:
            return
        for column, is_ahead in _ENDS.items():
            self._connection.execute(
                f"UPDATE message SET {column} = {column} - ? WHERE {is_ahead}", (latest - now,)
            )
        self._connection.execute(
            "UPDATE mailbox SET created_at = min(created_at, :now),"
            " last_seen_at = min(last_seen_at, :now)",
            {"now": now},
        )

    def rename(self, current: str, to: str, now: int) -> Rename:
        if self.find(current) is None:
            raise NotFound(
                f"There is no mailbox '{current}' to rename: give the name that it has now."
            )
        mailbox_id, old = self.find_or_make(current, now)
        if to == old:
            raise BadRequest(f"The mailbox is already named '{old}': give another name.")
        owner = self.find(to)
        if owner is not None and owner[0] != mailbox_id:
            former = "" if owner[1] == to else f" (it forwards to '{owner[1]}')"
            raise TargetExists(f"The name '{to}' is taken{former}: choose another one.")
        if owner is None:
            check_new_name(to)
        execute = self._connection.execute
        execute("DELETE FROM alias WHERE name = ?", (to,))
        execute("UPDATE mailbox SET name = ? WHERE id = ?", (to, mailbox_id))
        execute("INSERT INTO alias (name, mailbox_id) VALUES (?, ?)", (old, mailbox_id))
        self._keys.copy(old, to, now)
        return Rename(old, to, self.counts(mailbox_id)[1])

    def delete(self, name: str) -> bool:
        found = self.find(name)
        if found is None:
            return False
        mailbox_id = found[0]
        execute = self._connection.execute
        pends = execute(
            "SELECT EXISTS (SELECT 1 FROM backlog"
            " WHERE (recipient_id = ?1 OR sender_id = ?1) AND waiting + leased + hidden > 0)"
            # An open question counts as pending, too.
            " OR EXISTS (SELECT 1 FROM message INDEXED BY message_question WHERE sender_id = ?1"
            " AND answer_by IS NOT NULL AND outcome IS NULL)",
            (mailbox_id,),
        ).get
        if pends:
            return False
        execute(
            "INSERT OR REPLACE INTO deleted_mailbox (name, mailbox_id)"
            " SELECT name, id FROM mailbox WHERE id = ? AND ("
            " EXISTS (SELECT 1 FROM correspondence WHERE mailbox_id = mailbox.id)"
            f" OR EXISTS (SELECT 1 FROM message WHERE id > ({NOTED})"
            " AND mailbox.id IN (recipient_id, sender_id)))",
            (mailbox_id,),
        )
        execute("DELETE FROM mailbox WHERE id = ?", (mailbox_id,))
        execute(
            "DELETE FROM backlog WHERE recipient_id = ? OR sender_id = ?", (mailbox_id, mailbox_id)
        )
        return True

    def delete_idle(self, idle_since: int, spare: Iterable[str] = ()) -> list[str]:
        keep = set(spare)
        idle = [
            name
            for (name,) in self._connection.execute(
                "SELECT name FROM mailbox WHERE coalesce(last_seen_at, created_at) < ?",
                (idle_since,),
            )
        ]
        return [name for name in idle if name not in keep and self.delete(name)]
