"""SQL of sending, and of looking at what waits."""

from claude_mailbox.daemon.store.envelopes import URGENCY_NUMBERS
from claude_mailbox.daemon.store.operations.mail import LookUpPresence, MailStore
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.keys import (
    KEEP_RECEIPT,
    PostgresKeys,
    digest_of,
)
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.people.shown import facts_statement
from claude_mailbox.daemon.store.postgres.pipeline import PipelinedConnection
from claude_mailbox.daemon.store.postgres.schema import DELAYED, WAITING
from claude_mailbox.errors import KeyReused, QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import KEY_MILLISECONDS, Backlog, Receipt

# Who is unknown, has another name, or was never seen, and a message that may not be stored, make no
# row. The counts are those before the message: its trigger comes at the end of the statement.
_SEND = (
    "WITH message AS (INSERT INTO message"
    " (recipient_id, sender_id, recipient, sender, sent_at, state,"
    " thread, reply_to, is_final, urgency, is_quiet, visible_at, expires_at, answer_by)"
    " SELECT mailbox.id, sender.id, mailbox.name, sender.name, %(now)s, %(state)s, %(thread)s,"
    " %(reply_to)s, %(is_final)s, %(urgency)s, %(is_quiet)s, %(visible_at)s, %(expires_at)s,"
    " %(answer_by)s FROM mailbox, mailbox AS sender WHERE mailbox.name = %(recipient)s"
    " AND sender.name = %(sender)s AND sender.last_seen_at IS NOT NULL"
    " AND (SELECT coalesce(sum(waiting + leased + hidden), 0) FROM backlog"
    " WHERE recipient_id = mailbox.id) < %(max_pending)s"
    " AND NOT EXISTS (SELECT FROM idempotency_key"
    " WHERE sender = %(sender)s AND key = %(key)s AND sent_at > %(remembered)s)"
    " RETURNING id, recipient_id),"
    " unindexed AS (INSERT INTO unindexed (message_id) SELECT id FROM message),"
    " body AS (INSERT INTO body (message_id, text) SELECT id, %(body)b FROM message),"
    " receipt AS (SELECT message.id,"
    " coalesce(%(last_seen_at)s, mailbox.last_seen_at) AS last_seen_at,"
    " (SELECT coalesce(sum(waiting), 0)::int FROM backlog WHERE recipient_id = mailbox.id)"
    " + (%(visible_at)s IS NULL)::int AS pending"
    " FROM message JOIN mailbox ON mailbox.id = recipient_id)"
)
_RECEIPT = " SELECT id, last_seen_at, pending FROM receipt"


class PostgresMail(MailStore):
    def __init__(
        self,
        connection: PipelinedConnection,
        locks: MailboxLocks,
        mailboxes: PostgresMailboxes,
        keys: PostgresKeys,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes
        self._keys = keys

    def send(
        self,
        draft: Draft,
        now: int,
        *,
        thread: int | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        # Nearly always both names are present ones, and nothing speaks against it.
        stored = self._store(draft, draft.sender, draft.to, now, thread, max_pending, presence)
        if stored is not None:
            return stored
        _, sender, _ = self._mailboxes.find_or_make(draft.sender, now)
        recipient_id, recipient, _ = self._mailboxes.find_or_make(
            draft.to, now, seen=False, locked=True
        )
        first = self._first(sender, draft, now)
        if first is not None:
            return first
        stored = self._store(draft, sender, recipient, now, thread, max_pending, presence)
        if stored is None:
            pending = self._mailboxes.counts(recipient_id)[1]
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {pending} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        return stored

    def _store(
        self,
        draft: Draft,
        sender: str,
        recipient: str,
        now: int,
        thread: int | None,
        max_pending: int,
        presence: LookUpPresence,
    ) -> Receipt | None:
        """Store a message, and its key, unless something speaks against it."""
        seen_at, watching = presence(recipient)
        forwarded_from = draft.to if recipient != draft.to else None
        values = {
            "sender": sender,
            "recipient": recipient,
            "now": now,
            "state": WAITING if draft.delay is None else DELAYED,
            "thread": thread,
            "reply_to": draft.reply_to,
            "is_final": draft.is_final,
            "urgency": URGENCY_NUMBERS[draft.urgency],
            "is_quiet": draft.is_quiet,
            "visible_at": _after(now, draft.delay),
            "expires_at": _after(now, draft.ttl),
            "answer_by": _after(now, draft.ask),
            "body": draft.body.encode(),
            "max_pending": max_pending,
            "key": None if draft.key is None else draft.key.encode(),
            "remembered": now - KEY_MILLISECONDS,
            "last_seen_at": seen_at,
        }
        statement = _SEND + _RECEIPT
        if draft.key is not None:
            statement = f"{_SEND}, key AS ({KEEP_RECEIPT}){_RECEIPT}"
            values |= {
                "names": sorted({draft.sender, sender}),
                "digest": digest_of(draft),
                "watching": watching,
                "forwarded_from": forwarded_from,
            }
        _, (stored,) = self._locks.by_name_then(
            recipient, (statement, values), ahead=facts_statement(recipient)
        )
        row = stored.fetchone()
        if row is None:
            return None
        number, last_seen_at, pending = row
        return Receipt(
            id=number,
            sender=sender,
            recipient=recipient,
            sent_at=now,
            known=last_seen_at is not None,
            last_seen_at=last_seen_at,
            watching=watching,
            pending=pending,
            forwarded_from=forwarded_from,
        )

    def _first(self, sender: str, draft: Draft, now: int) -> Receipt | None:
        """Return what the first send with this key got, or None if there was none."""
        if draft.key is None:
            return None
        found = self._keys.find(sender, draft.key, now)
        if found is None:
            return None
        first, first_digest = found
        if digest_of(draft) != first_digest or not self._is_recipient(draft.to, first):
            raise KeyReused(
                "This idempotency key was used for another message: send this one with a new key."
            )
        return first

    def _is_recipient(self, name: str, receipt: Receipt) -> bool:
        """Say whether *name* was given then, or stands for the same mailbox now."""
        if name in (receipt.forwarded_from, receipt.recipient):
            return True
        found = self._mailboxes.find(name)
        row = self._connection.execute(
            "SELECT recipient_id FROM message WHERE id = %s", (receipt.id,)
        ).fetchone()
        return found is not None and row is not None and found[0] == row[0]

    def forget_keys(self, before: int) -> int:
        return self._keys.delete_before(before)

    def peek(self, name: str) -> Backlog:
        found = self._mailboxes.find(name)
        if found is None:
            return Backlog(0, None)
        first = f"(SELECT min(id) FROM message WHERE recipient_id = %(id)s AND state = {WAITING}"
        row = self._connection.execute(
            # Each half reads one row of the line's index.
            f"SELECT sent_at FROM message WHERE id = least({first} AND urgency < 1),"
            f" {first} AND NOT urgency < 1))",
            {"id": found[0]},
        ).fetchone()
        return Backlog(self._mailboxes.counts(found[0])[0], None if row is None else row[0])


def _after(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now + round(seconds * 1000)
