"""SQL of recent messages to sessions, for the limits, and of held messages."""

from collections.abc import Sequence

from claude_mailbox.daemon.store.operations.people import ExchangeStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import DELAYED, HELD, WAITING
from claude_mailbox.model.conversations import Arrival
from claude_mailbox.model.limits import Exchange, Exchanged, Held

_IS_OF = (
    "(%(id)s::bigint IS NULL OR %(id)s IN (sender_id, recipient_id))"
    " AND (%(peer)s::bigint IS NULL OR %(peer)s IN (sender_id, recipient_id))"
)


class PostgresExchanges(ExchangeStore):
    def __init__(
        self, connection: StoreConnection, locks: MailboxLocks, mailboxes: PostgresMailboxes
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes

    def lately(self, number: int, since: int) -> Exchange:
        rows = self._connection.execute(
            "SELECT exchange.sender_id = message.sender_id, exchange.sent_at"
            " FROM message JOIN exchange ON exchange.sent_at > %s AND ("
            " (exchange.sender_id = message.sender_id"
            " AND exchange.recipient_id = message.recipient_id)"
            " OR (exchange.sender_id = message.recipient_id"
            " AND exchange.recipient_id = message.sender_id AND message.sender_id <> message.recipient_id))"
            " WHERE message.id = %s ORDER BY exchange.message_id",
            (since, number),
        )
        messages = [Exchanged(is_own, sent_at) for is_own, sent_at in rows]
        is_held = self._connection.execute(
            "SELECT 1 FROM message JOIN message AS other ON"
            " (other.sender_id = message.sender_id AND other.recipient_id = message.recipient_id)"
            " OR (other.sender_id = message.recipient_id"
            " AND other.recipient_id = message.sender_id)"
            f" WHERE message.id = %s AND other.state = {HELD} LIMIT 1",
            (number,),
        ).fetchone()
        return Exchange(messages, is_held is not None)

    def note(self, number: int) -> None:
        self._connection.execute(
            "INSERT INTO exchange (sender_id, recipient_id, message_id, sent_at)"
            " SELECT sender_id, recipient_id, id, sent_at FROM message WHERE id = %s",
            (number,),
        )

    def hold(self, number: int) -> None:
        self._connection.execute(f"UPDATE message SET state = {HELD} WHERE id = %s", (number,))

    def is_held(self, number: int) -> bool:
        row = self._connection.execute(
            "SELECT state FROM message WHERE id = %s", (number,)
        ).fetchone()
        return row is not None and row[0] == HELD

    def held(self, limit: int) -> Sequence[Held]:
        rows = self._connection.execute(
            "SELECT message.id, coalesce(a.name, sender), coalesce(b.name, recipient), sent_at"
            " FROM message LEFT JOIN mailbox AS a ON a.id = sender_id"
            " LEFT JOIN mailbox AS b ON b.id = recipient_id"
            f" WHERE state = {HELD} ORDER BY message.id LIMIT %s",
            (limit,),
        )
        return [Held(*row) for row in rows]

    def release(
        self, now: int, mailbox: str | None = None, peer: str | None = None
    ) -> tuple[Sequence[int], Sequence[Arrival]]:
        execute = self._connection.execute
        values: dict[str, object] = {"id": None, "peer": None, "now": now}
        for key, name in (("id", mailbox), ("peer", peer)):
            if name is not None:
                found = self._mailboxes.find(name)
                if found is None:
                    return [], []
                values[key] = found[0]
        lines = execute(
            f"SELECT DISTINCT recipient_id FROM message WHERE state = {HELD} AND {_IS_OF}", values
        ).fetchall()
        values["lines"] = [number for (number,) in lines]
        self._locks.all(number for (number,) in lines)
        rows = execute(
            f"UPDATE message SET state = CASE WHEN visible_at > %(now)s THEN {DELAYED}"
            f" ELSE {WAITING} END"
            f" WHERE state = {HELD} AND {_IS_OF} AND recipient_id = ANY(%(lines)s::bigint[])"
            " RETURNING id, coalesce((SELECT name FROM mailbox WHERE mailbox.id = recipient_id),"
            " recipient), is_quiet, reply_to, state",
            values,
        ).fetchall()
        execute(f"DELETE FROM exchange WHERE {_IS_OF}", values)
        # By their numbers: of two replies the first answers the question.
        rows.sort(key=lambda row: row[0])
        arrivals = [
            Arrival(number, recipient, is_quiet, reply_to)
            for number, recipient, is_quiet, reply_to, state in rows
            if state == WAITING
        ]
        return [row[0] for row in rows], arrivals

    def forget(self, before: int) -> None:
        self._connection.execute("DELETE FROM exchange WHERE sent_at < %s", (before,))
