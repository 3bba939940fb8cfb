"""SQL of history: what a mailbox sent and got, what became of it, and the search by words.

The index of words has a row for the sender and one for the recipient of each message, with the
mailbox in the upper bits of the row's number and the message in the lower ones. So the rows of one
mailbox stand together, in the order of time, and a search reads only those, backwards, until it
has enough: other mailboxes cost it nothing, however much mail there is.

Messages are indexed some time after they were sent, newest first. So are they noted in the table of
who exchanged which; those that are not yet are looked through one by one.
"""

import re
from collections.abc import Iterable
from typing import Any

import apsw

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.conversation import HistoryStore
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

# Room for a million million messages, and eight million mailboxes.
_MESSAGE_BITS = 40
_LAST_MESSAGE = (1 << _MESSAGE_BITS) - 1
# The end of the gap that new messages come into.
_OPEN_END = 2**63 - 1

# How many messages one job notes: a millisecond of work.
_NOTED_MESSAGES = 500
# What one job of the ledger indexes: two milliseconds of work, or a single large message.
_INDEX_MESSAGES = 100
_INDEX_BYTES = 64 * 1024

_IS_HIDDEN = f"state IN ({DELAYED}, {HELD})"
# Messages to a mailbox that it must not see yet: few, if any.
_HIDDEN_FROM = (
    f"SELECT id FROM message INDEXED BY message_hidden WHERE {_IS_HIDDEN} AND recipient_id = :own"
)

_PART = re.compile(r'"([^"]*)"?|([^\s"]+)')


class SqliteHistory(HistoryStore):
    def __init__(self, connection: apsw.Connection, mailboxes: SqliteMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

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
            "SELECT min(reply.id) FROM message AS reply JOIN message AS original"
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
        low, high = 1, _LAST_MESSAGE
        if query.before is not None:
            high = min(high, query.before - 1)
        if query.thread is not None:
            # Nothing in a thread is older than its first message.
            low = query.thread
        is_related = query.thread is not None or query.group is not None
        if query.words is None and is_related:
            return self._page(self._related(mailbox_id, peer_id, query, high), query)
        if query.words is None:
            return self._page(self._all(mailbox_id, peer_id, low, high), query)
        unindexed = self._last_unindexed()
        first = max(low, unindexed + 1)
        words = _expression(query.words, peer_id)
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
        """Yield the numbers of messages that have the words, newest first."""
        if low > high:
            return
        base = mailbox_id << _MESSAGE_BITS
        hidden = {
            number for (number,) in self._connection.execute(_HIDDEN_FROM, {"own": mailbox_id})
        }
        for (row,) in self._connection.execute(
            "SELECT rowid FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?"
            " ORDER BY rowid DESC",
            (words, base | low, base | high),
        ):
            number = row & _LAST_MESSAGE
            if number not in hidden:
                yield number

    def _page(self, numbers: Iterable[int], query: HistoryQuery) -> HistoryPage:
        """Return as many of the messages as are wanted and fit."""
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

    def recent(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        thread: int | None = None,
        limit: int,
        excerpt: int,
    ) -> HistoryPage:
        in_thread = "" if thread is None else " AND (thread = :thread OR id = :thread)"
        rows: list[Any] = self._connection.execute(
            "SELECT id, substr(text, 1, :excerpt), length(text)"
            " FROM message JOIN body ON message_id = id"
            f" WHERE id > :after AND id < :before{in_thread} ORDER BY id DESC LIMIT :limit",
            {
                "excerpt": excerpt,
                "after": after,
                "before": _OPEN_END if before is None else before,
                "thread": thread,
                "limit": limit + 1,
            },
        ).fetchall()
        entries = [HistoryEntry(self.status_of(number), *body) for number, *body in rows[:limit]]
        return HistoryPage(entries, has_more=len(rows) > limit)

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        execute = self._connection.execute
        last = execute(
            "SELECT max(id) FROM (SELECT id FROM message WHERE id > ? AND sent_at < ?"
            " AND NOT EXISTS (SELECT 1 FROM search_gap WHERE id > above AND id <= upto)"
            " ORDER BY id LIMIT ?)",
            (after, sent_before, _INDEX_MESSAGES),
        ).get
        if last is None:
            return None
        old: list[Any] = execute(
            "SELECT id, recipient_id, sender_id, text FROM message JOIN body ON message_id = id"
            " WHERE id > ? AND id <= ? AND sent_at < ? AND text <> ''"
            f" AND state IN ({DELIVERED}, {EXPIRED}, {DELETED})",
            (after, last, sent_before),
        ).fetchall()
        for number, recipient_id, sender_id, text in old:
            # The index has no texts: to take a message out, it has to be told what is in it.
            rows = {(recipient_id, sender_id), (sender_id, recipient_id)}
            for mailbox_id, peer_id in rows:
                execute(
                    "INSERT INTO search (search, rowid, text, peer) VALUES ('delete', ?, ?, ?)",
                    ((mailbox_id << _MESSAGE_BITS) | number, text, f"p{peer_id}"),
                )
            execute("UPDATE body SET text = '' WHERE message_id = ?", (number,))
        return int(str(last))

    def index(self) -> bool:
        self._note_exchanges()
        self._note_new_messages()
        gap = self._connection.execute(
            "SELECT above, upto FROM search_gap WHERE upto < ? ORDER BY upto DESC LIMIT 1",
            (_OPEN_END,),
        ).get
        if gap is not None:
            self._fill(*gap)
        return self._last_unindexed() > 0 or self._is_behind()

    def _note_exchanges(self) -> None:
        """Note who exchanged the next messages that came since the last time."""
        execute = self._connection.execute
        above = execute(NOTED).get
        last = execute(
            "SELECT max(id) FROM (SELECT id FROM message WHERE id > ? ORDER BY id LIMIT ?)",
            (above, _NOTED_MESSAGES),
        ).get
        if last is None:
            return
        execute(
            "INSERT INTO correspondence (mailbox_id, message_id, peer_id)"
            " SELECT recipient_id, id, sender_id FROM message WHERE id > :above AND id <= :last"
            " UNION ALL SELECT sender_id, id, recipient_id FROM message"
            " WHERE id > :above AND id <= :last AND sender_id <> recipient_id",
            {"above": above, "last": last},
        )
        execute("UPDATE correspondence_end SET message_id = ?", (last,))

    def _is_behind(self) -> bool:
        return bool(
            self._connection.execute(f"SELECT (SELECT max(id) FROM message) > ({NOTED})").get
        )

    def _fill(self, above: int, upto: int) -> None:
        """Index the newest messages of a gap."""
        low = self._first_of_batch(above, upto)
        self._connection.execute(
            "INSERT INTO search (rowid, text, peer)"
            " SELECT (mailbox_id << :bits) | message_id, text, 'p' || peer_id FROM ("
            " SELECT recipient_id AS mailbox_id, id, sender_id AS peer_id FROM message"
            " WHERE id BETWEEN :low AND :upto UNION ALL"
            " SELECT sender_id, id, recipient_id FROM message"
            " WHERE id BETWEEN :low AND :upto AND sender_id <> recipient_id)"
            # In the order of rows: each step back would cost a segment of the index.
            " JOIN body ON message_id = id ORDER BY 1",
            {"bits": _MESSAGE_BITS, "low": low, "upto": upto},
        )
        if low > above + 1:
            self._connection.execute(
                "UPDATE search_gap SET upto = ? WHERE upto = ?", (low - 1, upto)
            )
        else:
            self._connection.execute("DELETE FROM search_gap WHERE upto = ?", (upto,))

    def _note_new_messages(self) -> None:
        """Make a gap of the messages that came since the last time."""
        above = self._connection.execute(
            "SELECT above FROM search_gap WHERE upto = ?", (_OPEN_END,)
        ).get
        last = self._connection.execute("SELECT max(id) FROM message").get
        if last is not None and last > above:
            self._connection.execute(
                "INSERT INTO search_gap (upto, above) VALUES (?, ?)", (last, above)
            )
            self._connection.execute(
                "UPDATE search_gap SET above = ? WHERE upto = ?", (last, _OPEN_END)
            )

    def _first_of_batch(self, above: int, upto: int) -> int:
        """Return where to begin, in order to index not too much up to *upto*."""
        first, count, size = upto + 1, 0, 0
        for number, length in self._connection.execute(
            "SELECT message_id, octet_length(text) FROM body"
            " WHERE message_id > ? AND message_id <= ? ORDER BY message_id DESC",
            (above, upto),
        ):
            size += length
            if count and (count == _INDEX_MESSAGES or size > _INDEX_BYTES):
                return first
            first, count = number, count + 1
        return above + 1

    def _last_unindexed(self) -> int:
        """Return the newest of the messages that are known not to be indexed; 0 if all are."""
        last: int = self._connection.execute(
            "SELECT coalesce(max(upto), 0) FROM search_gap WHERE upto < ?", (_OPEN_END,)
        ).get
        return last


def _expression(words: str, peer_id: int | None) -> str:
    """Return the words in the language of FTS5: all of them, each quoted, as it is a text."""
    parts = [phrase or word for phrase, word in _PART.findall(words.replace("\0", " "))]
    text = " ".join(f'"{part}"' for part in parts) or '""'
    return f"text: ({text})" + (f" AND peer: p{peer_id}" if peer_id is not None else "")
