"""SQL of threads, questions, notices, delays, times to live and parked messages.

Whatever waits for a time is found by partial indexes, which have no rows of plain messages.
"""

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.conversation import ConversationStore
from claude_mailbox.daemon.store.sqlite.messages.history import SqliteHistory
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import (
    DELAYED,
    DELETED,
    EXPIRED,
    HELD,
    LEASED,
    PARKED,
    WAITING,
)
from claude_mailbox.model.conversations import (
    ANSWERED,
    DAEMON,
    Arrival,
    Notice,
    OpenQuestion,
    Original,
    Returned,
)
from claude_mailbox.model.history import MessageStatus
from claude_mailbox.model.mail import Delivery

# Notices come from no mailbox.
_DAEMON_ID = 0
# When to look again for a message whose time to live ended while it was leased.
_AGAIN_MILLISECONDS = 5000

_IS_OPEN = "answer_by IS NOT NULL AND outcome IS NULL"
# Its answer is stored, but held or delayed.
_ANSWER_COMES = (
    "EXISTS (SELECT 1 FROM message AS reply WHERE reply.reply_to = message.id"
    " AND reply.sender_id = message.recipient_id AND reply.is_final"
    f" AND reply.state IN ({DELAYED}, {HELD}))"
)
_EXPIRES = f"expires_at IS NOT NULL AND state IN ({WAITING}, {DELAYED}, {HELD})"
_RECIPIENT = (
    "coalesce((SELECT name FROM mailbox WHERE mailbox.id = message.recipient_id), recipient)"
)
_RETURNED = f"id, {_RECIPIENT}, attempts, {_IS_OPEN}, notice IS NOT NULL"


class SqliteConversation(ConversationStore):
    def __init__(
        self, connection: apsw.Connection, mailboxes: SqliteMailboxes, history: SqliteHistory
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._history = history

    def original(self, number: int, mailbox: str) -> Original | None:
        if self._history.status(number, mailbox) is None:
            return None
        sender_id, sender, recipient_id, recipient, thread, is_notice = self._connection.execute(
            "SELECT sender_id, sender, recipient_id, recipient, ifnull(thread, id),"
            " notice IS NOT NULL FROM message WHERE id = ?",
            (number,),
        ).get
        is_sender = self._mailboxes.id_of_owner(mailbox) == sender_id
        other_id, other = (recipient_id, recipient) if is_sender else (sender_id, sender)
        last_name: str | None = self._connection.execute(
            "SELECT name FROM mailbox WHERE id = ?1"
            " UNION ALL SELECT name FROM deleted_mailbox WHERE mailbox_id = ?1",
            (other_id,),
        ).get
        return Original(thread, last_name or other, bool(is_notice))

    def answer(self, reply: int) -> int | None:
        question: int | None = self._connection.execute(
            "SELECT question.id FROM message AS reply JOIN message AS question"
            " ON question.id = reply.reply_to AND question.sender_id = reply.recipient_id"
            " AND question.recipient_id = reply.sender_id"
            " WHERE reply.id = ? AND reply.is_final AND question.answer_by IS NOT NULL",
            (reply,),
        ).get
        if question is None:
            return None
        self._connection.execute(
            f"UPDATE message SET outcome = ? WHERE id = ? AND {_IS_OPEN}", (ANSWERED, question)
        )
        if self._connection.changes():
            return question
        self._connection.execute(
            "UPDATE message SET is_quiet = 1"
            f" WHERE reply_to = ? AND notice IS NOT NULL AND state = {WAITING}",
            (question,),
        )
        return None

    def open_questions(self) -> Sequence[OpenQuestion]:
        rows: list[Any] = self._connection.execute(
            f"SELECT id, {_RECIPIENT}, recipient_id, sent_at, answer_by, delivered_at,"
            " EXISTS (SELECT 1 FROM mailbox WHERE mailbox.id = recipient_id)"
            f" FROM message INDEXED BY message_question WHERE {_IS_OPEN} AND NOT {_ANSWER_COMES}"
            " ORDER BY id"
        ).fetchall()
        return [self._open_question(*row) for row in rows]

    def _open_question(
        self,
        number: int,
        asked: str,
        asked_id: int,
        asked_at: int,
        answer_by: int,
        seen_at: int | None,
        is_there: int,
    ) -> OpenQuestion:
        # The running session, else the one that ended last.
        session: Any = self._connection.execute(
            "SELECT id, state, state_since, ended_at FROM session WHERE mailbox_id = ?"
            " ORDER BY ended_at IS NULL DESC, seen_at DESC LIMIT 1",
            (asked_id,),
        ).get
        session_id, state, since, ended_at = session or (None, None, None, None)
        clients = self._connection.execute(
            "SELECT key FROM client WHERE session_id = ?", (session_id,)
        )
        return OpenQuestion(
            number,
            asked,
            asked_at,
            answer_by,
            not is_there,
            seen_at,
            state,
            since,
            ended_at,
            [key for (key,) in clients],
        )

    def questions_between(self, asker: str, asked: str) -> Sequence[int]:
        rows = self._connection.execute(
            f"SELECT id FROM message INDEXED BY message_question WHERE {_IS_OPEN}"
            " AND sender_id = ? AND recipient_id = ?",
            (self._mailboxes.id_of_owner(asker), self._mailboxes.id_of_owner(asked)),
        )
        return [number for (number,) in rows]

    def close(self, question: int, outcome: str) -> None:
        self._connection.execute(
            f"UPDATE message SET outcome = ? WHERE id = ? AND {_IS_OPEN}", (outcome, question)
        )

    def claim_answer(self, question: int, *, lease_until: int | None, by: str) -> Delivery | None:
        row: Any = self._connection.execute(
            "SELECT reply.id, coalesce(from_box.name, reply.sender), text,"
            f" reply.sent_at, reply.attempts, {_of('reply', COLUMNS)}"
            " FROM message AS reply JOIN message AS question ON question.id = reply.reply_to"
            " LEFT JOIN mailbox AS from_box ON from_box.id = reply.sender_id"
            " JOIN body ON body.message_id = reply.id"
            f" WHERE reply.reply_to = ? AND reply.state = {WAITING} AND reply.is_final"
            " AND reply.recipient_id = question.sender_id"
            " AND (reply.sender_id = question.recipient_id OR reply.notice IS NOT NULL)"
            " ORDER BY reply.id LIMIT 1",
            (question,),
        ).get
        if row is None:
            return None
        number, sender, body, sent_at, attempts, *more = row
        nonce = secrets.token_hex(6)
        self._connection.execute(
            f"UPDATE message SET state = {LEASED}, attempts = attempts + 1, lease = ?,"
            " lease_until = ?, delivered_by = ? WHERE id = ?",
            (nonce, lease_until, by, number),
        )
        token = f"{number}-{nonce}"
        return Delivery(number, sender, body, sent_at, attempts + 1, token, envelope_of(*more))

    def notify(self, about: int, notice: str, body: str, now: int) -> Notice | None:
        row: Any = self._connection.execute(
            "SELECT mailbox.id, mailbox.name, ifnull(thread, message.id), is_quiet"
            " FROM message JOIN mailbox ON mailbox.id = sender_id WHERE message.id = ?",
            (about,),
        ).get
        if row is None:
            return None
        mailbox_id, mailbox, thread, is_quiet = row
        self._connection.execute(
            "INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at, thread,"
            " reply_to, is_quiet, notice) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (mailbox_id, _DAEMON_ID, mailbox, DAEMON, now, thread, about, is_quiet, notice),
        )
        number = self._connection.last_insert_rowid()
        self._connection.execute(
            "INSERT INTO body (message_id, text) VALUES (?, ?)", (number, body)
        )
        return Notice(number, mailbox, bool(is_quiet))

    def show_delayed(self, now: int) -> Sequence[Arrival]:
        rows = self._connection.execute(
            f"UPDATE message SET state = {WAITING}"
            f" WHERE visible_at IS NOT NULL AND state = {DELAYED} AND visible_at <= ?"
            f" RETURNING id, {_RECIPIENT}, is_quiet, reply_to",
            (now,),
        )
        return [
            Arrival(number, recipient, bool(is_quiet), reply_to)
            for number, recipient, is_quiet, reply_to in sorted(rows)
        ]

    def take_back(self, now: int) -> Sequence[Returned]:
        rows = self._connection.execute(
            f"UPDATE message SET state = {EXPIRED} WHERE {_EXPIRES} AND expires_at <= ?"
            f" RETURNING {_RETURNED}",
            (now,),
        )
        return [_returned(*row) for row in sorted(rows)]

    def next_due(self, now: int) -> int | None:
        due = [
            self._connection.execute(query).get
            for query in (
                "SELECT min(visible_at) FROM message"
                f" WHERE visible_at IS NOT NULL AND state = {DELAYED}",
                f"SELECT min(expires_at) FROM message WHERE {_EXPIRES}",
                f"SELECT min(answer_by) FROM message WHERE {_IS_OPEN}",
            )
        ]
        if self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM message"
            f" WHERE state = {LEASED} AND expires_at IS NOT NULL AND expires_at <= ?)",
            (now,),
        ).get:
            due.append(now + _AGAIN_MILLISECONDS)
        return min((time for time in due if time is not None), default=None)

    def park(self, number: int) -> Returned:
        row: Any = self._connection.execute(
            f"UPDATE message SET state = {PARKED} WHERE id = ? RETURNING {_RETURNED}", (number,)
        ).get
        return _returned(*row)

    def parked(self, mailbox: str | None = None) -> Sequence[MessageStatus]:
        mailbox_id = None if mailbox is None else self._mailboxes.id_of_owner(mailbox) or -1
        numbers: list[Any] = self._connection.execute(
            f"SELECT id FROM message WHERE state = {PARKED}"
            " AND (?1 IS NULL OR ?1 IN (sender_id, recipient_id)) ORDER BY id",
            (mailbox_id,),
        ).fetchall()
        return [self._history.status_of(number) for (number,) in numbers]

    def retry(self, numbers: Iterable[int], now: int) -> tuple[Sequence[int], Sequence[str]]:
        done: list[int] = []
        mailboxes: set[str] = set()
        for number in numbers:
            row: Any = self._connection.execute(
                f"SELECT {_RECIPIENT}, sender_id FROM message WHERE id = ? AND state = {PARKED}",
                (number,),
            ).get
            if row is None:
                continue
            # The mailbox may have been deleted meanwhile, and its counts with it.
            recipient_id, recipient, _ = self._mailboxes.recipient(row[0], now)
            self._connection.execute(
                "INSERT OR IGNORE INTO backlog (recipient_id, sender_id) VALUES (?, ?)",
                (recipient_id, row[1]),
            )
            self._connection.execute(
                f"UPDATE message SET state = {WAITING}, attempts = 0, expires_at = NULL,"
                " recipient_id = ? WHERE id = ?",
                (recipient_id, number),
            )
            done.append(number)
            mailboxes.add(recipient)
        return done, sorted(mailboxes)

    def drop(self, numbers: Iterable[int]) -> Sequence[int]:
        return [
            number
            for number in numbers
            if self._connection.execute(
                f"UPDATE message SET state = {DELETED} WHERE id = ? AND state = {PARKED}"
                " RETURNING id",
                (number,),
            ).get
        ]


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))


def _returned(number: int, recipient: str, attempts: int, is_open: int, is_notice: int) -> Returned:
    return Returned(number, recipient, attempts, bool(is_open), bool(is_notice))
