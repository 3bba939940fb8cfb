"""SQL of what sessions do, and of the messages that they were shown."""

from collections.abc import Iterable, Mapping, Sequence

from claude_mailbox.daemon.store.operations.people import ShownStore
from claude_mailbox.daemon.store.postgres.connection import Statement, StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import DELIVERED, LEASED, WAITING
from claude_mailbox.model.mail import LeaseOutcome, parse_token
from claude_mailbox.model.sessions import SessionEvent, SessionFacts, Shown


def facts_statement(mailbox: str | None) -> Statement:
    """Return what ``facts`` executes."""
    condition = "" if mailbox is None else " WHERE mailbox.name = %s"
    return (
        "SELECT mailbox.name, session.id, state, state_since, project, cwd, has_bell, ended_at"
        " FROM mailbox JOIN session ON session.mailbox_id = mailbox.id"
        f"{condition} ORDER BY ended_at IS NULL, session.seen_at",
        () if mailbox is None else (mailbox,),
    )


class PostgresShown(ShownStore):
    def __init__(
        self,
        connection: StoreConnection,
        locks: MailboxLocks,
        mailboxes: PostgresMailboxes,
        daemon_id: str,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes
        self._daemon_id = daemon_id

    def note_event(self, event: SessionEvent, now: int) -> None:
        self._connection.execute(
            "UPDATE session SET state_since = CASE WHEN %(state)s::text IS NULL"
            " OR state = %(state)s THEN state_since ELSE %(now)s END,"
            " state = coalesce(%(state)s, state), turn = turn + %(turns)s, seen_at = %(now)s,"
            " transcript = coalesce(%(transcript)s, transcript), cwd = coalesce(%(cwd)s, cwd),"
            " project = coalesce(%(project)s, project) WHERE id = %(id)s",
            {
                "state": event.state,
                "now": now,
                "turns": int(event.begins_turn),
                "transcript": event.transcript,
                "cwd": event.cwd,
                "project": event.project,
                "id": event.session_id,
            },
        )

    def add(self, session_id: str, shown: Sequence[Shown], lease_until: int) -> LeaseOutcome:
        execute = self._connection.execute
        if execute("SELECT 1 FROM session WHERE id = %s", (session_id,)).fetchone() is None:
            return LeaseOutcome([], [each.lease for each in shown])
        self._lock_mailboxes_of(each.lease for each in shown)
        # Messages that were delivered in another way need no proof any more.
        execute(
            "DELETE FROM shown WHERE session_id = %s AND EXISTS"
            f" (SELECT 1 FROM message WHERE id = message_id AND state = {DELIVERED})",
            (session_id,),
        )
        done: list[str] = []
        lost: list[str] = []
        for each in shown:
            number, nonce = parse_token(each.lease)
            reached = execute(
                "UPDATE message SET lease_until = %s, holder = NULL"
                f" WHERE id = %s AND lease = %s AND state = {LEASED}",
                (lease_until, number, nonce),
            ).rowcount
            if not reached:
                lost.append(each.lease)
                continue
            done.append(each.lease)
            execute("DELETE FROM shown WHERE message_id = %s AND nonce = %s", (number, nonce))
            execute(
                "INSERT INTO shown (message_id, nonce, session_id, kind, turn, shown_at,"
                " transcript, inode, size) SELECT %s, %s, id, %s, turn, %s,"
                " coalesce(nullif(%s, ''), transcript, ''), %s, %s FROM session WHERE id = %s",
                (
                    number,
                    nonce,
                    each.kind,
                    each.shown_at,
                    each.transcript,
                    each.inode,
                    each.size,
                    session_id,
                ),
            )
        return LeaseOutcome(done, lost)

    def unproved(self, session_id: str) -> list[Shown]:
        rows = self._connection.execute(
            "SELECT message_id, nonce, kind, shown.turn < session.turn, shown_at,"
            " shown.transcript, inode, size FROM shown JOIN session ON session.id = session_id"
            " JOIN message ON message.id = message_id"
            f" WHERE session_id = %s AND message.state <> {DELIVERED} ORDER BY message_id",
            (session_id,),
        )
        return [
            Shown(f"{number}-{nonce}", kind, is_past, shown_at, transcript, inode, size)
            for number, nonce, kind, is_past, shown_at, transcript, inode, size in rows
        ]

    def settle(self, session_id: str, tokens: Iterable[str], now: int) -> LeaseOutcome:
        tokens = list(tokens)
        self._lock_mailboxes_of(tokens)
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            row = self._connection.execute(
                "SELECT kind FROM shown WHERE message_id = %s AND nonce = %s AND session_id = %s",
                (number, nonce, session_id),
            ).fetchone()
            (lost if row is None else done).append(token)
            if row is not None:
                # Even if it was released since: the model has it.
                self._connection.execute(
                    f"UPDATE message SET state = {DELIVERED}, delivered_at = %s, lease = %s,"
                    " lease_until = NULL, holder = NULL, delivered_by = %s"
                    f" WHERE id = %s AND state IN ({WAITING}, {LEASED})",
                    (now, nonce, "watch" if row[0] == "command" else "hook", number),
                )
                self._connection.execute("DELETE FROM shown WHERE message_id = %s", (number,))
        return LeaseOutcome(done, lost)

    def release(self, session_id: str, tokens: Iterable[str]) -> tuple[LeaseOutcome, Sequence[str]]:
        tokens = list(tokens)
        self._lock_mailboxes_of(tokens)
        done: list[str] = []
        lost: list[str] = []
        mailboxes = set()
        for token in tokens:
            number, nonce = parse_token(token)
            row = self._connection.execute(
                f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL,"
                " holder = NULL"
                f" WHERE id = %s AND lease = %s AND state = {LEASED} AND EXISTS (SELECT 1 FROM shown"
                " WHERE message_id = id AND nonce = lease AND session_id = %s)"
                " RETURNING recipient_id",
                (number, nonce, session_id),
            ).fetchone()
            if row is None:
                lost.append(token)
            else:
                done.append(token)
                mailboxes.add(row[0])
        return LeaseOutcome(done, lost), self._mailboxes.names(mailboxes)

    def _lock_mailboxes_of(self, tokens: Iterable[str]) -> None:
        rows = self._connection.execute(
            "SELECT DISTINCT recipient_id FROM message WHERE id = ANY(%s)",
            ([parse_token(token)[0] for token in tokens],),
        ).fetchall()
        self._locks.all(number for (number,) in rows)

    def holders(self) -> Sequence[tuple[str, bool, Sequence[str]]]:
        rows = self._connection.execute(
            "SELECT DISTINCT session_id, ended_at IS NOT NULL FROM shown"
            " JOIN message ON message.id = message_id AND lease = nonce"
            " JOIN session ON session.id = session_id"
            f" WHERE message.state = {LEASED} AND session.daemon_id = %s",
            (self._daemon_id,),
        ).fetchall()
        return [(each, has_ended, self._clients(each)) for each, has_ended in rows]

    def facts(self, mailbox: str | None = None) -> Mapping[str, tuple[SessionFacts, Sequence[str]]]:
        # The last row of a mailbox counts: its running session, else the one that ended last.
        statement = facts_statement(mailbox)
        if self._connection.is_empty(statement):
            return {}
        rows = self._connection.execute(*statement).fetchall()
        found: dict[str, tuple[SessionFacts, Sequence[str]]] = {}
        for name, session_id, state, since, project, cwd, has_bell, ended_at in rows:
            if ended_at is None:
                facts = SessionFacts(state, since, project, cwd, has_bell)
            else:
                facts = SessionFacts("ended", ended_at, project, cwd, has_bell=False)
            found[name] = facts, self._clients(session_id)
        return found

    def _clients(self, session_id: str) -> list[str]:
        """Return the keys of its clients on this machine; others cannot be checked."""
        rows = self._connection.execute(
            "SELECT key FROM client WHERE session_id = %s AND daemon_id = %s",
            (session_id, self._daemon_id),
        )
        return [key for (key,) in rows]
