"""SQL of sending, and of looking at what waits."""

from claude_mailbox.daemon.store.operations import LookUpPresence, MailStore
from claude_mailbox.daemon.store.postgres.keys import PostgresKeys, digest_of
from claude_mailbox.daemon.store.postgres.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import WAITING, Connection
from claude_mailbox.errors import KeyReused, QuotaFull
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
        sender: str,
        to: str,
        body: str,
        now: int,
        *,
        key: str | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        text = body.encode()
        sender_id, sender_name, _ = self._mailboxes.find_or_make(sender, now)
        digest = b""
        if key is not None:
            digest = digest_of(body)
            first = self._first(sender_name, key, to, digest, now)
            if first is not None:
                return first
        recipient_id, recipient, stored_seen_at = self._mailboxes.find_or_make(
            to, now, seen=False, locked=True
        )
        if key is not None:
            # The same send may have been on its way on another daemon: then we waited for it here.
            first = self._first(sender_name, key, to, digest, now)
            if first is not None:
                return first
        waiting, leased = self._mailboxes.counts(recipient_id)
        if waiting + leased >= max_pending:
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {waiting + leased} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        last_seen_at, watching = presence(recipient)
        if last_seen_at is None:
            last_seen_at = stored_seen_at
        if recipient_id == sender_id and last_seen_at is None:
            last_seen_at = now
        row = self._connection.execute(
            "WITH message AS (INSERT INTO message"
            " (recipient_id, sender_id, recipient, sender, sent_at)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id),"
            " unindexed AS (INSERT INTO unindexed (message_id) SELECT id FROM message)"
            " INSERT INTO body (message_id, text) SELECT id, %b FROM message RETURNING message_id",
            (recipient_id, sender_id, recipient, sender_name, now, text),
        ).fetchone()
        assert row is not None  # noqa: S101  # an INSERT returns its row
        receipt = Receipt(
            id=row[0],
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

    def _first(self, sender: str, key: str, to: str, digest: bytes, now: int) -> Receipt | None:
        """Return what the first send with this key got, or None if there was none."""
        found = self._keys.find(sender, key, now)
        if found is None:
            return None
        first, first_digest = found
        if digest != first_digest or not self._is_recipient(to, first):
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
        row = self._connection.execute(
            f"SELECT sent_at FROM message WHERE recipient_id = %s AND state = {WAITING}"
            " ORDER BY id LIMIT 1",
            (found[0],),
        ).fetchone()
        return Backlog(self._mailboxes.counts(found[0])[0], None if row is None else row[0])
