"""SQL of recent messages to sessions, for the limits, and of held messages."""

from collections.abc import Sequence
from typing import Any

import apsw

from claude_mailbox.daemon.store.operations.people import ExchangeStore
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import DELAYED, HELD, WAITING
from claude_mailbox.model.conversations import Arrival
from claude_mailbox.model.limits import Exchange, Exchanged, Held


class SqliteExchanges(ExchangeStore):
    def __init__(self, connection: apsw.Connection, mailboxes: SqliteMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def lately(self, number: int, since: int) -> Exchange:
        sender_id, recipient_id = self._connection.execute(
            "SELECT sender_id, recipient_id FROM message WHERE id = ?", (number,)
        ).get
        pair = {"sender": sender_id, "recipient": recipient_id, "since": since}
        rows = self._connection.execute(
            "SELECT TRUE, sent_at, message_id FROM exchange"
            " WHERE sender_id = :sender AND recipient_id = :recipient AND sent_at > :since"
            " UNION ALL SELECT FALSE, sent_at, message_id FROM exchange"
            " WHERE sender_id = :recipient AND recipient_id = :sender AND sent_at > :since"
            " ORDER BY message_id",
            pair,
        )
        messages = [Exchanged(bool(is_own), sent_at) for is_own, sent_at, _ in rows]
        is_held = self._connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM message WHERE state = {HELD}"
            " AND (recipient_id, sender_id) IN"
            " (VALUES (:recipient, :sender), (:sender, :recipient)))",
            {"sender": sender_id, "recipient": recipient_id},
        ).get
        return Exchange(messages, bool(is_held))

    def note(self, number: int) -> None:
        self._connection.execute(
            "INSERT INTO exchange (sender_id, recipient_id, message_id, sent_at)"
            " SELECT sender_id, recipient_id, id, sent_at FROM message WHERE id = ?",
            (number,),
        )

    def hold(self, number: int) -> None:
        self._connection.execute(f"UPDATE message SET state = {HELD} WHERE id = ?", (number,))

    def is_held(self, number: int) -> bool:
        state = self._connection.execute("SELECT state FROM message WHERE id = ?", (number,)).get
        return bool(state == HELD)

    def held(self, limit: int) -> Sequence[Held]:
        rows = self._connection.execute(
            "SELECT message.id, coalesce(a.name, sender), coalesce(b.name, recipient), sent_at"
            " FROM message LEFT JOIN mailbox AS a ON a.id = sender_id"
            " LEFT JOIN mailbox AS b ON b.id = recipient_id"
            f" WHERE state = {HELD} ORDER BY message.id LIMIT ?",
            (limit,),
        )
        return [Held(*row) for row in rows]

    def release(
        self, now: int, mailbox: str | None = None, peer: str | None = None
    ) -> tuple[Sequence[int], Sequence[Arrival]]:
        ids = []
        for name in (mailbox, peer):
            if name is not None:
                found = self._mailboxes.find(name)
                if found is None:
                    return [], []
                ids.append(found[0])
        is_meant = " AND ".join(["(sender_id = ? OR recipient_id = ?)"] * len(ids)) or "TRUE"
        values = [number for number in ids for _ in range(2)]
        rows: list[Any] = self._connection.execute(
            f"UPDATE message SET state = iif(visible_at > ?, {DELAYED}, {WAITING})"
            f" WHERE state = {HELD} AND {is_meant}"
            " RETURNING id, coalesce((SELECT name FROM mailbox WHERE mailbox.id = recipient_id),"
            " recipient), is_quiet, reply_to, state",
            (now, *values),
        ).fetchall()
        self._connection.execute(f"DELETE FROM exchange WHERE {is_meant}", values)
        # By their numbers: of two replies the first answers the question.
        rows.sort(key=lambda row: row[0])
        arrivals = [
            Arrival(number, recipient, bool(is_quiet), reply_to)
            for number, recipient, is_quiet, reply_to, state in rows
            if state == WAITING
        ]
        return [row[0] for row in rows], arrivals

    def forget(self, before: int) -> None:
        self._connection.execute("DELETE FROM exchange WHERE sent_at < ?", (before,))
