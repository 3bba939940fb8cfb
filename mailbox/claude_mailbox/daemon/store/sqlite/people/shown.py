"""SQL of what sessions do, and of the messages that they were shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from claude_mailbox.daemon.store.operations.people import ShownStore
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import DELIVERED, LEASED, WAITING
from claude_mailbox.model.mail import LeaseOutcome, parse_token
from claude_mailbox.model.sessions import SessionEvent, SessionFacts, Shown


class SqliteShown(ShownStore):
    def __init__(self, connection: apsw.Connection, mailboxes: SqliteMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def note_event(self, event: SessionEvent, now: int) -> None:
        self._connection.execute(
            "UPDATE session SET"
            " state_since = iif(?1 IS NULL OR state = ?1, state_since, ?2),"
            " state = ifnull(?1, state), turn = turn + ?3, seen_at = ?2,"
            " transcript = ifnull(?4, transcript), cwd = ifnull(?5, cwd),"
            " project = ifnull(?6, project) WHERE id = ?7",
            (
                event.state,
                now,
                event.begins_turn,
                event.transcript,
                event.cwd,
                event.project,
                event.session_id,
            ),
        )

    def add(self, session_id: str, shown: Sequence[Shown], lease_until: int) -> LeaseOutcome:
        if not self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM session WHERE id = ?)", (session_id,)
        ).get:
            return LeaseOutcome([], [each.lease for each in shown])
        # Messages that were delivered in another way need no proof any more.
        self._connection.execute(
            "DELETE FROM shown WHERE session_id = ? AND EXISTS"
            f" (SELECT 1 FROM message WHERE id = message_id AND state = {DELIVERED})",
            (session_id,),
        )
        done: list[str] = []
        lost: list[str] = []
        for each in shown:
            number, nonce = parse_token(each.lease)
            self._connection.execute(
                f"UPDATE message SET lease_until = ? WHERE id = ? AND lease = ? AND state = {LEASED}",
                (lease_until, number, nonce),
            )
            if not self._connection.changes():
                lost.append(each.lease)
                continue
            done.append(each.lease)
            self._connection.execute(
                "INSERT OR REPLACE INTO shown (message_id, nonce, session_id, kind, turn, shown_at,"
                " transcript, inode, size) SELECT ?, ?, id, ?, turn, ?,"
                " ifnull(nullif(?, ''), ifnull(transcript, '')), ?, ? FROM session WHERE id = ?",
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
            f" WHERE session_id = ? AND message.state <> {DELIVERED} ORDER BY message_id",
            (session_id,),
        )
        return [
            Shown(f"{number}-{nonce}", kind, bool(is_past), shown_at, transcript, inode, size)
            for number, nonce, kind, is_past, shown_at, transcript, inode, size in rows
        ]

    def settle(self, session_id: str, tokens: Iterable[str], now: int) -> LeaseOutcome:
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            kind = self._connection.execute(
                "SELECT kind FROM shown WHERE message_id = ? AND nonce = ? AND session_id = ?",
                (number, nonce, session_id),
            ).get
            (lost if kind is None else done).append(token)
            if kind is not None:
                # Even if it was released since: the model has it.
                self._connection.execute(
                    f"UPDATE message SET state = {DELIVERED}, delivered_at = ?, lease = ?,"
                    " lease_until = NULL, delivered_by = ?"
                    f" WHERE id = ? AND state IN ({WAITING}, {LEASED})",
                    (now, nonce, "watch" if kind == "command" else "hook", number),
                )
                self._connection.execute("DELETE FROM shown WHERE message_id = ?", (number,))
        return LeaseOutcome(done, lost)

    def release(self, session_id: str, tokens: Iterable[str]) -> tuple[LeaseOutcome, Sequence[str]]:
        done: list[str] = []
        lost: list[str] = []
        mailboxes = set()
        for token in tokens:
            number, nonce = parse_token(token)
            recipient_id = self._connection.execute(
                f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL"
                f" WHERE id = ? AND lease = ? AND state = {LEASED} AND EXISTS (SELECT 1 FROM shown"
                " WHERE message_id = id AND nonce = lease AND session_id = ?)"
                " RETURNING recipient_id",
                (number, nonce, session_id),
            ).get
            if recipient_id is None:
                lost.append(token)
            else:
                done.append(token)
                mailboxes.add(recipient_id)
        return LeaseOutcome(done, lost), self._mailboxes.names(mailboxes)

    def holders(self) -> Sequence[tuple[str, bool, Sequence[str]]]:
        rows: list[Any] = self._connection.execute(
            "SELECT DISTINCT session_id, ended_at IS NOT NULL FROM shown"
            " JOIN message ON message.id = message_id AND lease = nonce"
            f" JOIN session ON session.id = session_id WHERE message.state = {LEASED}"
        ).fetchall()
        return [(each, bool(has_ended), self._clients(each)) for each, has_ended in rows]

    def facts(self, mailbox: str | None = None) -> Mapping[str, tuple[SessionFacts, Sequence[str]]]:
        condition = ""
        values: tuple[str, ...] = ()
        if mailbox is not None:
            if not self._has_session(mailbox):
                return {}
            condition, values = " WHERE mailbox.name = ?", (mailbox,)
        # The last row of a mailbox counts: its running session, else the one that ended last.
        rows: list[Any] = self._connection.execute(
            "SELECT mailbox.name, session.id, state, state_since, project, cwd, has_bell, ended_at"
            " FROM mailbox JOIN session ON session.mailbox_id = mailbox.id"
            f"{condition} ORDER BY ended_at IS NULL, session.seen_at",
            values,
        ).fetchall()
        found: dict[str, tuple[SessionFacts, Sequence[str]]] = {}
        for name, session_id, state, since, project, cwd, has_bell, ended_at in rows:
            if ended_at is None:
                facts = SessionFacts(state, since, project, cwd, bool(has_bell))
            else:
                facts = SessionFacts("ended", ended_at, project, cwd, has_bell=False)
            found[name] = facts, self._clients(session_id)
        return found

    def _has_session(self, mailbox: str) -> bool:
        """A quick check, because most mailboxes that scripts write to have no session."""
        return bool(
            self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM session WHERE mailbox_id ="
                " (SELECT id FROM mailbox WHERE name = ?))",
                (mailbox,),
            ).get
        )

    def _clients(self, session_id: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT key FROM client WHERE session_id = ?", (session_id,)
        )
        return [key for (key,) in rows]
