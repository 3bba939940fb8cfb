"""SQL of idempotency keys: each is kept with the receipt of its message.

They are kept by the sender's name, so that a retry finds its key after the mailbox was deleted and
made again. A rename copies them to the new name.
"""

import apsw

from claude_mailbox.model.mail import KEY_MILLISECONDS, Receipt

# The columns of a receipt.
_RECEIPT = "message_id, recipient, sent_at, known, last_seen_at, watching, pending, forwarded_from"


class SqliteKeys:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def find(self, sender: str, key: str, now: int) -> tuple[Receipt, bytes] | None:
        """Return the receipt of a key, marked as a duplicate, and the message's digest; or None."""
        found = self._connection.execute(
            f"SELECT digest, {_RECEIPT} FROM idempotency_key"
            " WHERE sender = ? AND key = ? AND sent_at > ?",
            (sender, key, now - KEY_MILLISECONDS),
        ).get
        if found is None:
            return None
        digest, number, recipient, sent_at, known, last_seen_at, watching, pending, former = found
        receipt = Receipt(
            id=number,
            sender=sender,
            recipient=recipient,
            sent_at=sent_at,
            known=bool(known),
            last_seen_at=last_seen_at,
            watching=bool(watching),
            pending=pending,
            forwarded_from=former,
            duplicate=True,
        )
        return receipt, digest

    def keep(self, sender: str, key: str, receipt: Receipt, digest: bytes) -> None:
        """Keep the receipt for *key* under the sender's present name, and under *sender*."""
        self._connection.executemany(
            f"REPLACE INTO idempotency_key (sender, key, digest, {_RECEIPT})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    name,
                    key,
                    digest,
                    receipt.id,
                    receipt.recipient,
                    receipt.sent_at,
                    receipt.known,
                    receipt.last_seen_at,
                    receipt.watching,
                    receipt.pending,
                    receipt.forwarded_from,
                )
                for name in {sender, receipt.sender}
            ],
        )

    def copy(self, old: str, new: str, now: int) -> None:
        """Copy the keys of a mailbox to its new name."""
        self._connection.execute(
            f"REPLACE INTO idempotency_key (sender, key, digest, {_RECEIPT})"
            f" SELECT ?, key, digest, {_RECEIPT} FROM idempotency_key"
            " WHERE sender = ? AND sent_at > ?",
            (new, old, now - KEY_MILLISECONDS),
        )

    def delete_before(self, time: int) -> int:
        """Delete the keys of messages sent before *time*; return how many there were."""
        self._connection.execute("DELETE FROM idempotency_key WHERE sent_at < ?", (time,))
        return self._connection.changes()
