"""SQL of history: what a mailbox sent and got, what became of it, and full-text search.

Messages that are not in the table of correspondence yet (see indexing.py) are read one by one.
"""

import re
from collections.abc import Iterable

import apsw

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.conversation import HistoryStore
from claude_mailbox.daemon.store.sqlite.messages.indexing import (
    LAST_MESSAGE,
    MESSAGE_BITS,
    SearchIndex,
)
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import (
    DELAYED,
    DELETED,
    DELIVERED,
    EXPIRED,
    HELD,
    LEASED,
    NOTED,
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

_IS_HIDDEN = f"state IN ({DELAYED}, {HELD})"
# Messages to a mailbox that it must not see yet, which are few.
_HIDDEN_FROM = (
    f"SELECT id FROM message INDEXED BY message_hidden WHERE {_IS_HIDDEN} AND recipient_id = :own"
)

_PART = re.compile(r'"([^"]*)"?|([^\s"]+)')


class SqliteHistory(HistoryStore):
    def __init__(
        self, connection: apsw.Connection, mailboxes: SqliteMailboxes, index: SearchIndex
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._index = index

    def status(self, number: int, mailbox: str) -> MessageStatus | None:
        mailbox_id = self._mailboxes.id_of_owner(mailbox)
        involved = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM message WHERE id = ?1 AND"
            f" (sender_id = ?2 OR (recipient_id = ?2 AND state NOT IN ({DELAYED}, {HELD}))))",
            (number, mailbox_id),
        ).get
        return self.status_of(number) if involved else None

    def status_of(self, number: int) -> MessageStatus:
        sender, recipient, sent_at, state, attempts, delivered_at, by, outcome, *more = (
            self._connection.execute(
                "SELECT coalesce(a.name, message.sender), coalesce(b.name, message.recipient),"
                f" sent_at, state, attempts, delivered_at, delivered_by, outcome, {COLUMNS} FROM message"
                " LEFT JOIN mailbox AS a ON a.id = sender_id"
                " LEFT JOIN mailbox AS b ON b.id = recipient_id WHERE message.id = ?",
                (number,),
            ).get
        )
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
            self._replied_by(number),
        )

    def _replied_by(self, number: int) -> int | None:
        reply: int | None = self._connection.execute(
            "SELECT min(reply.id) FROM message AS reply INDEXED BY message_reply"
            " JOIN message AS original"
            " ON original.id = reply.reply_to AND original.recipient_id = reply.sender_id"
            f" WHERE reply.reply_to = ? AND reply.is_final"
            f" AND reply.state NOT IN ({DELAYED}, {HELD})",
            (number,),
        ).get
        return reply

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
        is_related = query.thread is not None or query.group is not None
        if query.words is None and is_related:
            return self._page(self._related(mailbox_id, peer_id, query, high), query)
        if query.words is None:
            return self._page(self._all(mailbox_id, peer_id, low, high), query)
        unindexed = self._index.last_missing()
        first = max(low, unindexed + 1)
        words = expression(query.words, peer_id)
        found = self._search(mailbox_id, words, first, high)
        if is_related:
            related = set(self._related(mailbox_id, peer_id, query, high))
            found = (number for number in found if number in related)
        page = self._page(found, query)
        return HistoryPage(page.entries, page.has_more or low <= unindexed)

    def waiting(self, mailbox: str, limit: int, max_characters: int) -> HistoryPage:
        found = self._connection.execute(
            f"SELECT id FROM message WHERE recipient_id = ? AND state = {WAITING}"
            " ORDER BY urgency < 1, id",
            (self._mailboxes.id_of_owner(mailbox),),
        )
        numbers = (number for (number,) in found)
        return self._page(numbers, HistoryQuery(limit=limit, max_characters=max_characters))

    def _all(self, mailbox_id: int, peer_id: int | None, low: int, high: int) -> Iterable[int]:
        """Yield the numbers of messages, newest first."""
        with_peer, is_own = "TRUE", ":own IN (recipient_id, sender_id)"
        if peer_id is not None:
            with_peer = "peer_id = :peer"
            is_own = "(recipient_id, sender_id) IN (VALUES (:own, :peer), (:peer, :own))"
        for (number,) in self._connection.execute(
            "SELECT message_id AS id FROM correspondence WHERE mailbox_id = :own"
            f" AND message_id BETWEEN :low AND :high AND {with_peer}"
            f" AND message_id NOT IN ({_HIDDEN_FROM})"
            f" UNION ALL SELECT id FROM message WHERE id > max(({NOTED}), :low - 1) AND id <= :high"
            f" AND {is_own}"
            f" AND id NOT IN ({_HIDDEN_FROM}) ORDER BY id DESC",
            {"own": mailbox_id, "peer": peer_id, "low": low, "high": high},
        ):
            yield number

    def _related(
        self, mailbox_id: int, peer_id: int | None, query: HistoryQuery, high: int
    ) -> Iterable[int]:
        """Yield the numbers of messages of a thread, to a group, or both, newest first."""
        in_thread = "TRUE" if query.thread is None else "(thread = :thread OR id = :thread)"
        to_group = "TRUE" if query.group is None else "group_name = :group"
        for (number,) in self._connection.execute(
            f"SELECT id FROM message WHERE {in_thread} AND {to_group} AND id <= :high"
            f" AND (sender_id = :own OR (recipient_id = :own AND NOT ({_IS_HIDDEN})))"
            " AND (:peer IS NULL OR :peer IN (sender_id, recipient_id)) ORDER BY id DESC",
            {
                "own": mailbox_id,
                "peer": peer_id,
                "thread": query.thread,
                "group": query.group,
                "high": high,
            },
        ):
            yield number

    def _search(self, mailbox_id: int, words: str, low: int, high: int) -> Iterable[int]:
        """Yield the numbers of messages that match the words, newest first."""
        if low > high:
            return
        base = mailbox_id << MESSAGE_BITS
        hidden = {
            number for (number,) in self._connection.execute(_HIDDEN_FROM, {"own": mailbox_id})
        }
        for (row,) in self._connection.execute(
            "SELECT rowid FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?"
            " ORDER BY rowid DESC",
            (words, base | low, base | high),
        ):
            number = row & LAST_MESSAGE
            if number not in hidden:
                yield number

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
            body = self._connection.execute(
                "SELECT text FROM body WHERE message_id = ?", (number,)
            ).get
            room -= len(body) + FRAME_CHARACTERS
            if room < 0 and entries:
                return HistoryPage(entries, has_more=True)
            shown = body if room >= 0 else body[: max(0, len(body) + room)]
            entries.append(HistoryEntry(status, shown, len(body)))
        return HistoryPage(entries, has_more=False)

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        return self._index.forget_texts(after, sent_before)

    def index(self) -> bool:
        return self._index.fill()


def expression(words: str, peer_id: int | None) -> str:
    """Return an FTS5 expression that matches all of the words; each is quoted."""
    parts = [phrase or word for phrase, word in _PART.findall(words.replace("\0", " "))]
    text = " ".join(f'"{part}"' for part in parts) or '""'
    return f"text: ({text})" + (f" AND peer: p{peer_id}" if peer_id is not None else "")
