"""SQL of history: what a mailbox sent and got, what became of it, and full-text search.

Each message has a vector of its words and its two mailboxes, so that the index finds the messages of
one mailbox that match the words. Messages are indexed some time after they were sent, newest first;
`unindexed` has those that are not indexed yet. Several daemons may index at once.
"""

from collections.abc import Iterable

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.conversation import HistoryStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.messages.words import query as words_query
from claude_mailbox.daemon.store.postgres.messages.words import vector
from claude_mailbox.daemon.store.postgres.schema import (
    DELAYED,
    DELETED,
    DELIVERED,
    EXPIRED,
    HELD,
    LEASED,
    PARKED,
    WAITING,
)
from claude_mailbox.model.history import HistoryEntry, HistoryPage, HistoryQuery, MessageStatus
from claude_mailbox.model.mail import FRAME_CHARACTERS

_STATES = {
    WAITING: "waiting",
    LEASED: "leased",
    DELIVERED: "delivered",
    DELAYED: "waiting",
    HELD: "held",
    EXPIRED: "expired",
    PARKED: "parked",
    DELETED: "deleted",
}
LAST_MESSAGE = 2**63 - 1

# What one job indexes, which takes some milliseconds; or a single large message.
_INDEX_MESSAGES = 100
_INDEX_BYTES = 64 * 1024

# Hidden from the receiver, not from the sender.
_IS_HIDDEN = f"state IN ({DELAYED}, {HELD})"
_IS_RELATED = (
    "(%(thread)s::bigint IS NULL OR thread = %(thread)s OR id = %(thread)s)"
    " AND (%(group)s::text IS NULL OR group_name = %(group)s)"
)


class PostgresHistory(HistoryStore):
    def __init__(self, connection: StoreConnection, mailboxes: PostgresMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def status(self, number: int, mailbox: str) -> MessageStatus | None:
        mailbox_id = self._mailboxes.id_of_owner(mailbox)
        involved = self._connection.execute(
            "SELECT 1 FROM message WHERE id = %s AND"
            f" (sender_id = %s OR (recipient_id = %s AND NOT {_IS_HIDDEN}))",
            (number, mailbox_id, mailbox_id),
        ).fetchone()
        return self.status_of(number) if involved else None

    def status_of(self, number: int) -> MessageStatus:
        row = self._connection.execute(
            "SELECT coalesce(a.name, message.sender), coalesce(b.name, message.recipient),"
            " sent_at, state, attempts, delivered_at, delivered_by, outcome, (SELECT min(reply.id)"
            " FROM message AS reply WHERE reply.reply_to = message.id AND reply.is_final"
            f" AND reply.sender_id = message.recipient_id AND reply.state NOT IN ({DELAYED}, {HELD})), {COLUMNS}"
            " FROM message"
            " LEFT JOIN mailbox AS a ON a.id = sender_id"
            " LEFT JOIN mailbox AS b ON b.id = recipient_id WHERE message.id = %s",
            (number,),
        ).fetchone()
        assert row is not None  # noqa: S101  # messages are never deleted
        (
            sender,
            recipient,
            sent_at,
            state,
            attempts,
            delivered_at,
            by,
            outcome,
            replied_by,
            *more,
        ) = row
        if state != DELIVERED:
            by = None
        return MessageStatus(
            number,
            sender,
            recipient,
            sent_at,
            _STATES[state],
            attempts,
            delivered_at,
            by,
            envelope_of(*more),
            outcome,
            replied_by,
        )

    def history(self, mailbox: str, query: HistoryQuery) -> HistoryPage:
        mailbox_id = self._mailboxes.id_of_owner(mailbox)
        peer_id = None if query.peer is None else self._mailboxes.id_of_owner(query.peer)
        if mailbox_id is None or (query.peer is not None and peer_id is None):
            return HistoryPage([], has_more=False)
        low, high = 1, LAST_MESSAGE
        if query.before is not None:
            high = min(high, query.before - 1)
        if query.thread is not None:
            # A thread is named by its first message, so nothing in it is older.
            low = query.thread
        wanted = query.limit + 1
        if query.words is None and (query.thread is not None or query.group is not None):
            numbers = self._related(mailbox_id, peer_id, query, high)
            return self._page(numbers, query)
        if query.words is None:
            return self._page(self._all(mailbox_id, peer_id, low, high, wanted), query)
        unindexed = self.last_unindexed()
        words = words_query(query.words, mailbox_id, peer_id)
        first = max(low, unindexed + 1)
        found = self._search(words, mailbox_id, query, first, high)
        page = self._page(found, query)
        return HistoryPage(page.entries, page.has_more or low <= unindexed)

    def waiting(self, mailbox: str, limit: int, max_characters: int) -> HistoryPage:
        rows = self._connection.execute(
            f"SELECT id FROM message WHERE recipient_id = %s AND state = {WAITING}"
            " ORDER BY urgency < 1, id LIMIT %s",
            (self._mailboxes.id_of_owner(mailbox), limit + 1),
        ).fetchall()
        numbers = [number for (number,) in rows]
        return self._page(numbers, HistoryQuery(limit=limit, max_characters=max_characters))

    def _all(
        self, mailbox_id: int, peer_id: int | None, low: int, high: int, limit: int
    ) -> Iterable[int]:
        """Return the numbers of messages, newest first."""
        is_from_peer = is_to_peer = "TRUE"
        if peer_id is not None:
            is_from_peer, is_to_peer = "sender_id = %(peer)s", "recipient_id = %(peer)s"
        rows = self._connection.execute(
            "(SELECT id FROM message WHERE recipient_id = %(own)s"
            f" AND id BETWEEN %(low)s AND %(high)s AND {is_from_peer} AND NOT {_IS_HIDDEN}"
            " ORDER BY id DESC LIMIT %(limit)s) UNION"
            " (SELECT id FROM message WHERE sender_id = %(own)s"
            f" AND id BETWEEN %(low)s AND %(high)s AND {is_to_peer}"
            " ORDER BY id DESC LIMIT %(limit)s) ORDER BY id DESC LIMIT %(limit)s",
            {"own": mailbox_id, "peer": peer_id, "low": low, "high": high, "limit": limit},
        ).fetchall()
        return [number for (number,) in rows]

    def _related(
        self, mailbox_id: int, peer_id: int | None, query: HistoryQuery, high: int
    ) -> Iterable[int]:
        """Return the numbers of messages of a thread, to a group, or both, newest first."""
        rows = self._connection.execute(
            f"SELECT id FROM message WHERE {_IS_RELATED} AND id <= %(high)s"
            f" AND (sender_id = %(own)s OR (recipient_id = %(own)s AND NOT {_IS_HIDDEN}))"
            " AND (%(peer)s::bigint IS NULL OR %(peer)s IN (sender_id, recipient_id))"
            " ORDER BY id DESC LIMIT %(limit)s",
            {
                "own": mailbox_id,
                "peer": peer_id,
                "thread": query.thread,
                "group": query.group,
                "high": high,
                "limit": query.limit + 1,
            },
        ).fetchall()
        return [number for (number,) in rows]

    def _search(
        self, words: str | None, mailbox_id: int, query: HistoryQuery, low: int, high: int
    ) -> Iterable[int]:
        """Return the numbers of messages that match the words, newest first."""
        if words is None or low > high:
            return []
        rows = self._connection.execute(
            "SELECT id FROM search JOIN message ON id = message_id WHERE words @@ %(words)s::tsquery"
            f" AND id BETWEEN %(low)s AND %(high)s AND (sender_id = %(own)s OR NOT {_IS_HIDDEN})"
            f" AND {_IS_RELATED} ORDER BY id DESC LIMIT %(limit)s",
            {
                "words": words,
                "own": mailbox_id,
                "thread": query.thread,
                "group": query.group,
                "low": low,
                "high": high,
                "limit": query.limit + 1,
            },
        ).fetchall()
        return [number for (number,) in rows]

    def _page(self, numbers: Iterable[int], query: HistoryQuery) -> HistoryPage:
        """Return these messages, within the limits of *query*."""
        entries: list[HistoryEntry] = []
        room = query.max_characters
        for number in numbers:
            status = self.status_of(number)
            if query.since is not None and status.sent_at < query.since:
                break
            if len(entries) == query.limit:
                return HistoryPage(entries, has_more=True)
            body = self.text_of(number)
            room -= len(body) + FRAME_CHARACTERS
            if room < 0 and entries:
                return HistoryPage(entries, has_more=True)
            shown = body if room >= 0 else body[: max(0, len(body) + room)]
            entries.append(HistoryEntry(status, shown, len(body)))
        return HistoryPage(entries, has_more=False)

    def text_of(self, number: int) -> str:
        row = self._connection.execute(
            "SELECT text FROM body WHERE message_id = %s", (number,)
        ).fetchone()
        return "" if row is None else row[0].decode()

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        execute = self._connection.execute
        row = execute(
            "SELECT max(id) FROM (SELECT id FROM message WHERE id > %s AND sent_at < %s"
            " AND NOT EXISTS (SELECT 1 FROM unindexed WHERE message_id = id)"
            " ORDER BY id LIMIT %s) AS next",
            (after, sent_before, _INDEX_MESSAGES),
        ).fetchone()
        if row is None or row[0] is None:
            return None
        last: int = row[0]
        old = [
            number
            for (number,) in execute(
                "SELECT id FROM message WHERE id > %s AND id <= %s AND sent_at < %s"
                f" AND state IN ({DELIVERED}, {EXPIRED}, {DELETED})"
                " AND NOT EXISTS (SELECT 1 FROM unindexed WHERE message_id = id)",
                (after, last, sent_before),
            )
        ]
        execute("DELETE FROM search WHERE message_id = ANY(%s)", (old,))
        execute("UPDATE body SET text = '' WHERE message_id = ANY(%s) AND text <> ''", (old,))
        return last

    def index(self) -> bool:
        # Another daemon is indexing the locked ones.
        sizes = self._connection.execute(
            "SELECT message_id, octet_length(text) FROM unindexed JOIN body USING (message_id)"
            f" ORDER BY message_id DESC LIMIT {_INDEX_MESSAGES} FOR UPDATE OF unindexed SKIP LOCKED"
        ).fetchall()
        chosen: list[int] = []
        total = 0
        for number, size in sizes:
            total += size
            if chosen and total > _INDEX_BYTES:
                break
            chosen.append(number)
        if not chosen:
            return False
        rows = self._connection.execute(
            "SELECT id, sender_id, recipient_id, text FROM message JOIN body ON message_id = id"
            " WHERE id = ANY(%s)",
            (chosen,),
        ).fetchall()
        words = [vector(text.decode(), sender, recipient) for _, sender, recipient, text in rows]
        self._connection.execute_together(
            (
                "INSERT INTO search (message_id, words)"
                " SELECT number, words::tsvector FROM unnest(%s::bigint[], %s::text[])"
                " AS indexed (number, words) ON CONFLICT DO NOTHING",
                ([row[0] for row in rows], words),
            ),
            ("DELETE FROM unindexed WHERE message_id = ANY(%s)", (chosen,)),
        )
        return self.last_unindexed() > 0

    def last_unindexed(self) -> int:
        """Return the number of the newest message that is not indexed, or 0."""
        row = self._connection.execute(
            "SELECT coalesce(max(message_id), 0) FROM unindexed"
        ).fetchone()
        return 0 if row is None else row[0]
