"""SQL of sending, and of looking at what waits."""

from claude_mailbox.daemon.store.envelopes import URGENCY_NUMBERS
from claude_mailbox.daemon.store.operations.mail import LookUpPresence, MailStore
from claude_mailbox.daemon.store.postgres.messages.keys import PostgresKeys, digest_of
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import DELAYED, WAITING, Connection
from claude_mailbox.errors import KeyReused, QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Backlog, Receipt


class PostgresMail(MailStore):
    def __init__(
        self, connection: Connection, mailboxes: PostgresMailboxes, keys: PostgresKeys
    ) -> None:
        self._connection = connection
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
        sender_id, sender, _ = self._mailboxes.find_or_make(draft.sender, now)
        first = self._first(sender, draft, now)
        if first is not None:
            return first
        recipient_id, recipient, stored_seen_at = self._mailboxes.find_or_make(
            draft.to, now, seen=False, locked=True
        )
        # The same send may have been on its way on another daemon: then we waited for it here.
        first = self._first(sender, draft, now)
        if first is not None:
            return first
        waiting, pending = self._mailboxes.counts(recipient_id)
        if pending >= max_pending:
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {pending} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        last_seen_at, watching = presence(recipient)
        if last_seen_at is None:
            last_seen_at = stored_seen_at
        row = self._connection.execute(
            "WITH message AS (INSERT INTO message"
            " (recipient_id, sender_id, recipient, sender, sent_at, state,"
            " thread, reply_to, is_final, urgency, is_quiet, visible_at, expires_at, answer_by)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id),"
            " unindexed AS (INSERT INTO unindexed (message_id) SELECT id FROM message)"
            " INSERT INTO body (message_id, text) SELECT id, %b FROM message RETURNING message_id",
            (
                recipient_id,
                sender_id,
                recipient,
                sender,
                now,
                WAITING if draft.delay is None else DELAYED,
                thread,
                draft.reply_to,
                draft.is_final,
                URGENCY_NUMBERS[draft.urgency],
                draft.is_quiet,
                _after(now, draft.delay),
                _after(now, draft.ttl),
                _after(now, draft.ask),
                draft.body.encode(),
            ),
        ).fetchone()
        assert row is not None  # noqa: S101  # an INSERT returns its row
        receipt = Receipt(
            id=row[0],
            sender=sender,
            recipient=recipient,
            sent_at=now,
            known=last_seen_at is not None,
            last_seen_at=last_seen_at,
            watching=watching,
            pending=waiting + (draft.delay is None),
            forwarded_from=draft.to if recipient != draft.to else None,
        )
        if draft.key is not None:
            self._keys.keep(draft.sender, draft.key, receipt, digest_of(draft))
        return receipt

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
