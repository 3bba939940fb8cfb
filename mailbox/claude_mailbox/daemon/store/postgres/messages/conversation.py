"""SQL of threads, questions, notices, delays, times to live and parked messages.

Whatever waits for a time is found by partial indexes, which have no rows of plain messages. Every
daemon looks; the first that finds something does it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.conversation import ConversationStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.history import PostgresHistory
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.nonces import Nonces
from claude_mailbox.daemon.store.postgres.schema import (
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
_IS_DELAYED = f"visible_at IS NOT NULL AND state = {DELAYED}"
_RECIPIENT = (
    "coalesce((SELECT name FROM mailbox WHERE mailbox.id = message.recipient_id), recipient)"
)
_RETURNED = f"id, {_RECIPIENT}, attempts, {_IS_OPEN}, notice IS NOT NULL"


class PostgresConversation(ConversationStore):
    def __init__(
        self,
        connection: StoreConnection,
        locks: MailboxLocks,
        mailboxes: PostgresMailboxes,
        history: PostgresHistory,
        nonces: Nonces,
        daemon_id: str,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes
        self._history = history
        self._nonces = nonces
        self._daemon_id = daemon_id

    def original(self, number: int, mailbox: str) -> Original | None:
        if self._history.status(number, mailbox) is None:
            return None
        row = self._connection.execute(
            "SELECT sender_id, sender, recipient_id, recipient, coalesce(thread, id),"
            " notice IS NOT NULL FROM message WHERE id = %s",
            (number,),
        ).fetchone()
        assert row is not None  # noqa: S101  # it has a status
        sender_id, sender, recipient_id, recipient, thread, is_notice = row
        is_sender = self._mailboxes.id_of_owner(mailbox) == sender_id
        other_id, other = (recipient_id, recipient) if is_sender else (sender_id, sender)
        found = self._connection.execute(
            "SELECT name FROM mailbox WHERE id = %(id)s"
            " UNION ALL SELECT name FROM deleted_mailbox WHERE mailbox_id = %(id)s LIMIT 1",
            {"id": other_id},
        ).fetchone()
        return Original(thread, found[0] if found else other, is_notice)

    def answer(self, reply: int) -> int | None:
        execute = self._connection.execute
        row = execute(
            "SELECT question.id FROM message AS reply JOIN message AS question"
            " ON question.id = reply.reply_to AND question.sender_id = reply.recipient_id"
            " AND question.recipient_id = reply.sender_id"
            " WHERE reply.id = %s AND reply.is_final AND question.answer_by IS NOT NULL",
            (reply,),
        ).fetchone()
        if row is None:
            return None
        question: int = row[0]
        if execute(
            f"UPDATE message SET outcome = %s WHERE id = %s AND {_IS_OPEN}", (ANSWERED, question)
        ).rowcount:
            return question
        execute(
            "UPDATE message SET is_quiet = TRUE"
            f" WHERE reply_to = %s AND notice IS NOT NULL AND state = {WAITING}",
            (question,),
        )
        return None

    def open_questions(self) -> Sequence[OpenQuestion]:
        # Another daemon is about to close the locked ones.
        rows = self._connection.execute(
            f"SELECT id, {_RECIPIENT}, recipient_id, sent_at, answer_by, delivered_at,"
            " EXISTS (SELECT 1 FROM mailbox WHERE mailbox.id = recipient_id)"
            f" FROM message WHERE {_IS_OPEN} AND NOT {_ANSWER_COMES}"
            " ORDER BY id FOR NO KEY UPDATE OF message SKIP LOCKED"
        ).fetchall()
        if rows:
            self._locks.wait_no_more()
        return [self._open_question(*row) for row in rows]

    def _open_question(
        self,
        number: int,
        asked: str,
        asked_id: int,
        asked_at: int,
        answer_by: int,
        seen_at: int | None,
        is_there: bool,
    ) -> OpenQuestion:
        # The running session, else the one that ended last.
        session: Any = self._connection.execute(
            "SELECT id, state, state_since, ended_at FROM session WHERE mailbox_id = %s"
            " ORDER BY ended_at IS NULL DESC, seen_at DESC LIMIT 1",
            (asked_id,),
        ).fetchone()
        session_id, state, since, ended_at = session or (None, None, None, None)
        # Only keys of clients on this machine: whether others run is unknown here.
        clients = self._connection.execute(
            "SELECT key FROM client WHERE session_id = %s AND daemon_id = %s",
            (session_id, self._daemon_id),
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
            f"SELECT id FROM message WHERE {_IS_OPEN} AND sender_id = %s AND recipient_id = %s",
            (self._mailboxes.id_of_owner(asker), self._mailboxes.id_of_owner(asked)),
        )
        return [number for (number,) in rows]

    def close(self, question: int, outcome: str) -> None:
        self._connection.execute(
            f"UPDATE message SET outcome = %s WHERE id = %s AND {_IS_OPEN}", (outcome, question)
        )

    def claim_answer(self, question: int, *, lease_until: int | None, by: str) -> Delivery | None:
        self._lock_recipients("reply_to = %s", question)
        row: Any = self._connection.execute(
            "SELECT reply.id, coalesce(from_box.name, reply.sender), text,"
            f" reply.sent_at, reply.attempts, {_of('reply', COLUMNS)}"
            " FROM message AS reply JOIN message AS question ON question.id = reply.reply_to"
            " LEFT JOIN mailbox AS from_box ON from_box.id = reply.sender_id"
            " JOIN body ON body.message_id = reply.id"
            f" WHERE reply.reply_to = %s AND reply.state = {WAITING} AND reply.is_final"
            " AND reply.recipient_id = question.sender_id"
            " AND (reply.sender_id = question.recipient_id OR reply.notice IS NOT NULL)"
            " ORDER BY reply.id LIMIT 1",
            (question,),
        ).fetchone()
        if row is None:
            return None
        number, sender, body, sent_at, attempts, *more = row
        nonce = self._nonces.new()
        self._connection.execute(
            f"UPDATE message SET state = {LEASED}, attempts = attempts + 1, lease = %s,"
            " lease_until = %s, holder = %s, delivered_by = %s WHERE id = %s",
            (nonce, lease_until, None if lease_until else self._daemon_id, by, number),
        )
        token, envelope = f"{number}-{nonce}", envelope_of(*more)
        return Delivery(number, sender, body.decode(), sent_at, attempts + 1, token, envelope)

    def notify(self, about: int, notice: str, body: str, now: int) -> Notice | None:
        row = self._connection.execute(
            "SELECT mailbox.id, mailbox.name, coalesce(thread, message.id), is_quiet"
            " FROM message JOIN mailbox ON mailbox.id = sender_id WHERE message.id = %s",
            (about,),
        ).fetchone()
        if row is None:
            return None
        mailbox_id, mailbox, thread, is_quiet = row
        self._locks.by_id(mailbox_id)
        made = self._connection.execute(
            "WITH message AS (INSERT INTO message (recipient_id, sender_id, recipient, sender,"
            " sent_at, thread, reply_to, is_quiet, notice)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id),"
            " unindexed AS (INSERT INTO unindexed (message_id) SELECT id FROM message)"
            " INSERT INTO body (message_id, text) SELECT id, %s FROM message RETURNING message_id",
            (
                mailbox_id,
                _DAEMON_ID,
                mailbox,
                DAEMON,
                now,
                thread,
                about,
                is_quiet,
                notice,
                body.encode(),
            ),
        ).fetchone()
        assert made is not None  # noqa: S101  # an INSERT returns its row
        return Notice(made[0], mailbox, is_quiet)

    def show_delayed(self, now: int) -> Sequence[Arrival]:
        mailbox_ids = self._lock_recipients(f"{_IS_DELAYED} AND visible_at <= %s", now)
        if not mailbox_ids:
            return []
        rows = self._connection.execute(
            f"UPDATE message SET state = {WAITING}"
            f" WHERE {_IS_DELAYED} AND visible_at <= %s AND recipient_id = ANY(%s)"
            f" RETURNING id, {_RECIPIENT}, is_quiet, reply_to",
            (now, mailbox_ids),
        ).fetchall()
        return [Arrival(*row) for row in sorted(rows)]

    def take_back(self, now: int) -> Sequence[Returned]:
        mailbox_ids = self._lock_recipients(f"{_EXPIRES} AND expires_at <= %s", now)
        if not mailbox_ids:
            return []
        rows = self._connection.execute(
            f"UPDATE message SET state = {EXPIRED}"
            f" WHERE {_EXPIRES} AND expires_at <= %s AND recipient_id = ANY(%s)"
            f" RETURNING {_RETURNED}",
            (now, mailbox_ids),
        ).fetchall()
        return [Returned(*row) for row in sorted(rows)]

    def next_due(self, now: int) -> int | None:
        row = self._connection.execute(
            f"SELECT least((SELECT min(visible_at) FROM message WHERE {_IS_DELAYED}),"
            f" (SELECT min(expires_at) FROM message WHERE {_EXPIRES}),"
            f" (SELECT min(answer_by) FROM message WHERE {_IS_OPEN}),"
            f" (SELECT %(again)s::bigint FROM message WHERE state = {LEASED}"
            " AND expires_at IS NOT NULL AND expires_at <= %(now)s LIMIT 1))",
            {"now": now, "again": now + _AGAIN_MILLISECONDS},
        ).fetchone()
        return None if row is None else row[0]

    def park(self, number: int) -> Returned:
        self._lock_recipients("id = %s", number)
        row = self._connection.execute(
            f"UPDATE message SET state = {PARKED} WHERE id = %s RETURNING {_RETURNED}", (number,)
        ).fetchone()
        assert row is not None  # noqa: S101  # messages are never deleted
        return Returned(*row)

    def parked(self, mailbox: str | None = None) -> Sequence[MessageStatus]:
        mailbox_id = None if mailbox is None else self._mailboxes.id_of_owner(mailbox) or -1
        rows = self._connection.execute(
            f"SELECT id FROM message WHERE state = {PARKED} AND (%(id)s::bigint IS NULL"
            " OR %(id)s IN (sender_id, recipient_id)) ORDER BY id",
            {"id": mailbox_id},
        ).fetchall()
        return [self._history.status_of(number) for (number,) in rows]

    def retry(self, numbers: Iterable[int], now: int) -> tuple[Sequence[int], Sequence[str]]:
        done: list[int] = []
        mailboxes: set[str] = set()
        for number in numbers:
            row = self._connection.execute(
                f"SELECT {_RECIPIENT}, sender_id FROM message WHERE id = %s AND state = {PARKED}",
                (number,),
            ).fetchone()
            if row is None:
                continue
            # The mailbox may have been deleted meanwhile, and its counts with it.
            recipient_id, recipient, _ = self._mailboxes.find_or_make(
                row[0], now, seen=False, locked=True
            )
            self._connection.execute(
                "INSERT INTO backlog (recipient_id, sender_id) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING",
                (recipient_id, row[1]),
            )
            reached = self._connection.execute(
                f"UPDATE message SET state = {WAITING}, attempts = 0, expires_at = NULL,"
                f" recipient_id = %s WHERE id = %s AND state = {PARKED}",
                (recipient_id, number),
            ).rowcount
            if reached:
                done.append(number)
                mailboxes.add(recipient)
        return done, sorted(mailboxes)

    def drop(self, numbers: Iterable[int]) -> Sequence[int]:
        return [
            number
            for number in numbers
            if self._connection.execute(
                f"UPDATE message SET state = {DELETED} WHERE id = %s AND state = {PARKED}",
                (number,),
            ).rowcount
        ]

    def _lock_recipients(self, condition: str, value: object) -> list[int]:
        """Lock the mailboxes of messages that meet the condition; return their ids."""
        rows = self._connection.execute(
            f"SELECT DISTINCT recipient_id FROM message WHERE {condition}", (value,)
        ).fetchall()
        mailbox_ids = [number for (number,) in rows]
        self._locks.all(mailbox_ids)
        return mailbox_ids


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column}" for column in columns.split(", "))
