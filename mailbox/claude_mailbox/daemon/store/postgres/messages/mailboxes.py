"""SQL of mailboxes and their names."""

from collections.abc import Iterable, Mapping

from claude_mailbox.daemon.store.operations.mail import MailboxStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.keys import PostgresKeys
from claude_mailbox.errors import BadRequest, QuotaFull
from claude_mailbox.model.mail import Listing, Rename, Totals
from claude_mailbox.model.names import check_new_name
from claude_mailbox.refusals import NotFound, TargetExists

Row = tuple[int, str, int | None]


class PostgresMailboxes(MailboxStore):
    def __init__(
        self,
        connection: StoreConnection,
        locks: MailboxLocks,
        keys: PostgresKeys,
        limit: int | None,
        daemon_id: str,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._keys = keys
        self._limit = limit
        self._daemon_id = daemon_id

    def find(self, name: str) -> tuple[int, str] | None:
        """Return the id and present name of the mailbox that has, or had, *name*; or None."""
        row = self._row(name, locked=False)
        return None if row is None else row[:2]

    def _row(self, name: str, *, locked: bool) -> Row | None:
        """Return also when it was last used, as far as that is written."""
        if locked:
            row = self._locks.by_name(name)
            if row is not None:
                return row
            present = self._owner_of_alias(name)
            # It may have been renamed again before we had the lock.
            return None if present is None else self._row(present, locked=True)
        found = self._connection.execute(
            "SELECT id, name, last_seen_at FROM mailbox WHERE name = %s", (name,)
        ).fetchone()
        if found is None:
            found = self._connection.execute(
                "SELECT mailbox.id, mailbox.name, last_seen_at FROM alias"
                " JOIN mailbox ON mailbox.id = alias.mailbox_id WHERE alias.name = %s",
                (name,),
            ).fetchone()
        return None if found is None else (found[0], found[1], found[2])

    def _owner_of_alias(self, name: str) -> str | None:
        row = self._connection.execute(
            "SELECT mailbox.name FROM alias JOIN mailbox ON mailbox.id = alias.mailbox_id"
            " WHERE alias.name = %s",
            (name,),
        ).fetchone()
        return None if row is None else row[0]

    def id_of_owner(self, name: str) -> int | None:
        """Return the id of the mailbox that has, or had, *name*, even if it was deleted."""
        found = self.find(name)
        if found is not None:
            return found[0]
        row = self._connection.execute(
            "SELECT mailbox_id FROM deleted_mailbox WHERE name = %s", (name,)
        ).fetchone()
        return None if row is None else row[0]

    def find_or_make(self, name: str, now: int, *, seen: bool = True, locked: bool = False) -> Row:
        """Return the id, present name and time of last use of a mailbox, and make it if it is new.

        Without *seen* it is only sent to, and a new one counts as never used. With *locked* its row
        is locked until the commit.
        """
        row = self._row(name, locked=locked)
        if row is None:
            check_new_name(name)
            self._check_limit()
            seen_at = now if seen else None
            # A mailbox that was deleted gets its id again, and with it its history.
            made = self._connection.execute(
                "WITH former AS (DELETE FROM deleted_mailbox WHERE name = %(name)s"
                " RETURNING mailbox_id)"
                " INSERT INTO mailbox (id, name, created_at, last_seen_at)"
                " SELECT coalesce((SELECT mailbox_id FROM former),"
                " nextval(pg_get_serial_sequence('claude_mailbox.mailbox', 'id'))),"
                " %(name)s, %(now)s, %(seen_at)s RETURNING id",
                {"name": name, "now": now, "seen_at": seen_at},
            ).fetchone()
            assert made is not None  # noqa: S101  # an INSERT returns its row
            return made[0], name, seen_at
        mailbox_id, present, last_seen_at = row
        if seen and last_seen_at is None:
            self._locks.by_id(mailbox_id)
            self._connection.execute(
                "UPDATE mailbox SET last_seen_at = %s WHERE id = %s", (now, mailbox_id)
            )
        return mailbox_id, present, last_seen_at

    def _check_limit(self) -> None:
        if self._limit is None:
            return
        row = self._connection.execute("SELECT count(*) FROM mailbox").fetchone()
        count = row[0] if row else 0
        if count >= self._limit:
            raise QuotaFull(
                f"There are {count} mailboxes already (the limit is {self._limit}, maxMailboxes):"
                " use one of them, delete one that nobody needs, or raise the limit. Nothing was"
                " stored."
            )

    def counts(self, mailbox_id: int) -> tuple[int, int]:
        """Return how many messages wait in a mailbox, and how many pend there."""
        row = self._connection.execute(
            "SELECT coalesce(sum(waiting), 0)::int,"
            " coalesce(sum(waiting + leased + hidden), 0)::int FROM backlog WHERE recipient_id = %s",
            (mailbox_id,),
        ).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def present_name(self, name: str) -> str | None:
        found = self.find(name)
        return None if found is None else found[1]

    def register(self, name: str, now: int) -> str:
        return self.find_or_make(name, now)[1]

    def mark_seen(self, seen: Mapping[str, int]) -> None:
        times: dict[int, int] = {}
        for name, at in seen.items():
            found = self.find(name)
            if found is not None:
                times[found[0]] = max(at, times.get(found[0], at))
        self._locks.all(times)
        for mailbox_id, at in times.items():
            self._connection.execute(
                "UPDATE mailbox SET last_seen_at = greatest(last_seen_at, %s) WHERE id = %s",
                (at, mailbox_id),
            )

    def totals(self) -> Totals:
        row = self._connection.execute(
            "SELECT (SELECT count(*) FROM mailbox), coalesce(sum(waiting), 0)::bigint,"
            " coalesce(sum(leased), 0)::bigint, (SELECT coalesce(max(id), 0) FROM message)"
            " FROM backlog"
        ).fetchone()
        assert row is not None  # noqa: S101  # sums always have a row
        return Totals(*row)

    def describe(self, name: str, text: str | None, now: int) -> None:
        mailbox_id = self.find_or_make(name, now, locked=True)[0]
        self._connection.execute(
            "UPDATE mailbox SET description = %s WHERE id = %s", (text, mailbox_id)
        )

    def correct_times(self, now: int) -> None:
        """Nothing to do: all daemons use the server's clock."""

    def listings(
        self, caller: str | None, seen_since: int, awake: Iterable[str] = ()
    ) -> list[Listing]:
        found = self.find(caller) if caller is not None else None
        caller_id = found[0] if found else None
        rows = self._connection.execute(
            "SELECT name, last_seen_at, coalesce(pending, 0)::int, coalesce(for_caller, 0), description"
            " FROM mailbox LEFT JOIN (SELECT recipient_id, sum(waiting) AS pending FROM backlog"
            " GROUP BY recipient_id) AS line ON line.recipient_id = mailbox.id"
            " LEFT JOIN (SELECT sender_id, waiting AS for_caller FROM backlog"
            " WHERE recipient_id = %(caller)s::bigint) AS own ON own.sender_id = mailbox.id"
            " WHERE mailbox.id = %(caller)s::bigint OR for_caller > 0 OR name = ANY(%(awake)s)"
            " OR coalesce(last_seen_at, created_at) >= %(since)s"
            " ORDER BY coalesce(last_seen_at, created_at) DESC, mailbox.id",
            {"caller": caller_id, "awake": list(awake), "since": seen_since},
        )
        return [Listing(*row) for row in rows]

    def names(self, mailbox_ids: Iterable[int]) -> list[str]:
        wanted = list(mailbox_ids)
        if not wanted:
            return []
        rows = self._connection.execute("SELECT name FROM mailbox WHERE id = ANY(%s)", (wanted,))
        return [name for (name,) in rows]

    def rename(self, current: str, to: str, now: int) -> Rename:
        row = self._row(current, locked=True)
        if row is None:
            raise NotFound(
                f"There is no mailbox '{current}' to rename: give the name that it has now."
            )
        mailbox_id, old, last_seen_at = row
        if last_seen_at is None:
            self._connection.execute(
                "UPDATE mailbox SET last_seen_at = %s WHERE id = %s", (now, mailbox_id)
            )
        if to == old:
            raise BadRequest(f"The mailbox is already named '{old}': give another name.")
        owner = self.find(to)
        if owner is not None and owner[0] != mailbox_id:
            former = "" if owner[1] == to else f" (it forwards to '{owner[1]}')"
            raise TargetExists(f"The name '{to}' is taken{former}: choose another one.")
        if owner is None:
            check_new_name(to)
        execute = self._connection.execute
        execute("DELETE FROM alias WHERE name = %s", (to,))
        execute("UPDATE mailbox SET name = %s WHERE id = %s", (to, mailbox_id))
        execute("INSERT INTO alias (name, mailbox_id) VALUES (%s, %s)", (old, mailbox_id))
        self._keys.copy(old, to, now)
        return Rename(old, to, self.counts(mailbox_id)[1])

    def delete(self, name: str) -> bool:
        row = self._row(name, locked=True)
        if row is None:
            return False
        mailbox_id = row[0]
        execute = self._connection.execute
        pends = execute(
            "SELECT 1 FROM backlog"
            " WHERE (recipient_id = %(id)s OR sender_id = %(id)s) AND waiting + leased + hidden > 0"
            # An open question counts as pending, too.
            " UNION ALL SELECT 1 FROM message WHERE sender_id = %(id)s"
            " AND answer_by IS NOT NULL AND outcome IS NULL LIMIT 1",
            {"id": mailbox_id},
        ).fetchone()
        if pends:
            return False
        execute(
            "INSERT INTO deleted_mailbox (name, mailbox_id)"
            " SELECT name, id FROM mailbox WHERE id = %s AND ("
            " EXISTS (SELECT 1 FROM message WHERE recipient_id = mailbox.id)"
            " OR EXISTS (SELECT 1 FROM message WHERE sender_id = mailbox.id))"
            " ON CONFLICT (name) DO UPDATE SET mailbox_id = excluded.mailbox_id",
            (mailbox_id,),
        )
        execute("DELETE FROM mailbox WHERE id = %s", (mailbox_id,))
        execute(
            "DELETE FROM backlog WHERE recipient_id = %s OR sender_id = %s",
            (mailbox_id, mailbox_id),
        )
        return True

    def delete_idle(self, idle_since: int, spare: Iterable[str] = ()) -> list[str]:
        # Only the daemon of its machine knows whether a session runs.
        rows = self._connection.execute(
            "SELECT name FROM mailbox WHERE coalesce(last_seen_at, created_at) < %s"
            " AND name <> ALL(%s) AND NOT EXISTS (SELECT 1 FROM session"
            " JOIN daemon ON daemon.id = session.daemon_id"
            " WHERE session.mailbox_id = mailbox.id AND ended_at IS NULL AND daemon.id <> %s)",
            (idle_since, list(spare), self._daemon_id),
        ).fetchall()
        return [name for (name,) in rows if self.delete(name)]
