"""SQL of sending, and of looking at what waits."""

import apsw

from claude_mailbox.daemon.store.operations import LookUpPresence, MailStore
from claude_mailbox.daemon.store.sqlite.keys import SqliteKeys, digest_of
from claude_mailbox.daemon.store.sqlite.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import WAITING
from claude_mailbox.errors import KeyReused, QuotaFull
from claude_mailbox.model.mail import Backlog, Receipt


class SqliteMail(MailStore):
    def __init__(
        self, connection: apsw.Connection, mailboxes: SqliteMailboxes, keys: SqliteKeys
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._keys = keys

    def send(
        self,
        sender: str,
        to: str,
        body: str,
        now: int,
        *,
        key: str | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        sender_id, sender_name = self._mailboxes.find_or_make(sender, now)
        digest = b""
        if key is not None:
            digest = digest_of(body)
            found = self._keys.find(sender_name, key, now)
            if found is not None:
                first, first_digest = found
                if digest != first_digest or not self._is_recipient(to, first):
                    raise KeyReused(
                        "This idempotency key was used for another message: send this one with a"
                        " new key."
                    )
                return first
        recipient_id, recipient = self._mailboxes.find_or_make(to, now, seen=False)
        waiting, leased = self._mailboxes.counts(recipient_id)
        if waiting + leased >= max_pending:
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {waiting + leased} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        last_seen_at, watching = presence(recipient)
        if last_seen_at is None:
            last_seen_at = self._connection.execute(
                "SELECT last_seen_at FROM mailbox WHERE id = ?", (recipient_id,)
            ).get
        self._connection.execute(
            "INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (recipient_id, sender_id, recipient, sender_name, now),
        )
        number = self._connection.last_insert_rowid()
        self._connection.execute(
            "INSERT INTO body (message_id, text) VALUES (?, ?)", (number, body)
        )
        receipt = Receipt(
            id=number,
            sender=sender_name,
            recipient=recipient,
            sent_at=now,
            known=last_seen_at is not None,
            last_seen_at=last_seen_at,
            watching=watching,
            pending=waiting + 1,
            forwarded_from=to if recipient != to else None,
        )
        if key is not None:
            self._keys.keep(sender, key, receipt, digest)
        return receipt

    def _is_recipient(self, name: str, receipt: Receipt) -> bool:
        """Say whether *name* was given then, or stands for the same mailbox now."""
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
        oldest_at: int | None = self._connection.execute(
            f"SELECT sent_at FROM message WHERE recipient_id = ? AND state = {WAITING}"
            " ORDER BY id LIMIT 1",
            (found[0],),
        ).get
        return Backlog(self._mailboxes.counts(found[0])[0], oldest_at)
