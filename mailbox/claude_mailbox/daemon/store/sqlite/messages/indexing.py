"""The full-text index, and the table of correspondence: who sent and got which message.

The index has a row for the sender and one for the recipient of each message, with the mailbox in the
upper bits of the row's number and the message in the lower ones. So the rows of a mailbox are next to
each other, in the order of time, and a search reads only those, from the newest back, until it has
enough. A third row is for the search in all mail.

Messages are indexed some time after they were sent, newest first; `search_gap` has the ranges that
are not indexed yet. The table of correspondence is filled oldest first.
"""

from typing import Any

import apsw

from claude_mailbox.daemon.store.sqlite.schema import DELETED, DELIVERED, EXPIRED, NOTED

# Enough for a million million messages and eight million mailboxes.
MESSAGE_BITS = 40
LAST_MESSAGE = (1 << MESSAGE_BITS) - 1
# Stands for all mail in the index; no mailbox has this number.
ALL_MAIL = 0
# The end of the gap at the newest messages.
_OPEN_END = 2**63 - 1

# Messages that one job notes, which takes a millisecond.
_NOTED_MESSAGES = 500
# What one job indexes, which takes two milliseconds; or a single large message.
_INDEX_MESSAGES = 100
_INDEX_BYTES = 64 * 1024


class SearchIndex:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        """See `HistoryStore`."""
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
            # The index does not store texts, so it needs a message's text to remove it.
            rows = {(recipient_id, sender_id), (sender_id, recipient_id)}
            peers = [(mailbox_id, f"p{peer_id}") for mailbox_id, peer_id in rows]
            for mailbox_id, peer in [*peers, (ALL_MAIL, "")]:
                execute(
                    "INSERT INTO search (search, rowid, text, peer) VALUES ('delete', ?, ?, ?)",
                    ((mailbox_id << MESSAGE_BITS) | number, text, peer),
                )
            execute("UPDATE body SET text = '' WHERE message_id = ?", (number,))
        return int(str(last))

    def fill(self) -> bool:
        """Note and index some messages; return whether some remain."""
        self._note_exchanges()
        self._note_new_messages()
        gap = self._connection.execute(
            "SELECT above, upto FROM search_gap WHERE upto < ? ORDER BY upto DESC LIMIT 1",
            (_OPEN_END,),
        ).get
        if gap is not None:
            self._fill_gap(*gap)
        return self.last_missing() > 0 or self._is_behind()

    def _note_exchanges(self) -> None:
        """Note the correspondence of the next messages."""
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

    def _fill_gap(self, above: int, upto: int) -> None:
        """Index the newest messages of a gap."""
        low = self._first_of_batch(above, upto)
        self._connection.execute(
            "INSERT INTO search (rowid, text, peer)"
            " SELECT (mailbox_id << :bits) | message_id, text, peer FROM ("
            " SELECT recipient_id AS mailbox_id, id, 'p' || sender_id AS peer FROM message"
            " WHERE id BETWEEN :low AND :upto UNION ALL"
            " SELECT sender_id, id, 'p' || recipient_id FROM message"
            " WHERE id BETWEEN :low AND :upto AND sender_id <> recipient_id UNION ALL"
            " SELECT :all_mail, id, '' FROM message WHERE id BETWEEN :low AND :upto)"
            # In the order of rows: each step back would make a segment of the index.
            " JOIN body ON message_id = id ORDER BY 1",
            {"bits": MESSAGE_BITS, "low": low, "upto": upto, "all_mail": ALL_MAIL},
        )
        if low > above + 1:
            self._connection.execute(
                "UPDATE search_gap SET upto = ? WHERE upto = ?", (low - 1, upto)
            )
        else:
            self._connection.execute("DELETE FROM search_gap WHERE upto = ?", (upto,))

    def _note_new_messages(self) -> None:
        """Add a gap for the messages stored since the last call."""
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
        """Return the number to begin at, so that not too much is indexed up to *upto*."""
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

    def last_missing(self) -> int:
        """Return the number of the newest message that is not indexed, or 0."""
        last: int = self._connection.execute(
            "SELECT coalesce(max(upto), 0) FROM search_gap WHERE upto < ?", (_OPEN_END,)
        ).get
        return last
