"""SQL of sending and peeking."""

import apsw

from claude_mailbox.daemon.store.digests import digest_of
from claude_mailbox.daemon.store.envelopes import URGENCY_NUMBERS
from claude_mailbox.daemon.store.operations.mail import LookUpPresence, MailStore
from claude_mailbox.daemon.store.sqlite.messages.keys import SqliteKeys
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import DELAYED, WAITING
from claude_mailbox.errors import QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Backlog, Receipt
from claude_mailbox.refusals import KeyReused


class SqliteMail(MailStore):
    def __init__(
        self, connection: apsw.Connection, mailboxes: SqliteMailboxes, keys: SqliteKeys
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
        sender_id, sender = self._mailboxes.find_or_make(draft.sender, now)
        digest = b""
        if draft.key is not None:
            digest = digest_of(draft)
            found = self._keys.find(sender, draft.key, now)
            if found is not None:
                first, first_digest = found
                if digest != first_digest or not self._is_recipient(draft.to, first):
                    raise KeyReused()
                return first
        recipient_id, recipient, seen_at = self._mailboxes.recipient(draft.to, now)
        waiting, pending = self._mailboxes.counts(recipient_id)
        if pending >= max_pending:
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {pending} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        last_seen_at, watching = presence(recipient)
        if last_seen_at is None:
            last_seen_at = seen_at
        self._connection.execute(
            "INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at, state,"
            " thread, reply_to, is_final, urgency, is_quiet, visible_at, expires_at, answer_by)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            ),
        )
        number = self._connection.last_insert_rowid()
        self._connection.execute(
            "INSERT INTO body (message_id, text) VALUES (?, ?)", (number, draft.body)
        )
        receipt = Receipt(
            id=number,
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
            self._keys.keep(draft.sender, draft.key, receipt, digest)
        return receipt

    def _is_recipient(self, name: str, receipt: Receipt) -> bool:
        """Return whether *name* was the receipt's recipient, or is the same mailbox now."""
        if name in (receipt.forwarded_from, receipt.recipient):
            return True
        found = self._mailboxes.find(name)
        recipient_id = self._connection.execute(
            "SELECT recipient_id FROM message WHERE id = ?", (receipt.id,)
        ).get
        return found is not None and found[0] == recipient_id

    def forget_keys(self, before: int) -> int:
        return self._keys.delete_before(before)

    def peek(self, name: str) -> Backlog:
        found = self._mailboxes.find(name)
        if found is None:
            return Backlog(0, None)
        waiting = self._mailboxes.counts(found[0])[0]
        # One query for each half of the line, high urgency and others: each reads one row of its index.
        fronts = [
            self._connection.execute(
                f"SELECT id, sent_at FROM message WHERE recipient_id = ? AND state = {WAITING}"
                f" AND urgency < 1 = {half} ORDER BY id LIMIT 1",
                (found[0],),
            ).get
            for half in (0, 1)
            if waiting
        ]
        oldest = min((front for front in fronts if front is not None), default=None)
        return Backlog(waiting, None if oldest is None else oldest[1])


def _after(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now + round(seconds * 1000)
