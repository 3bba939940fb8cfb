"""SQL of idempotency keys: each is kept with the receipt of its message.

They are kept by the sender's name, so that a retry finds its key after the mailbox was deleted and
made again. A rename copies them to the new name.
"""

from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.model.mail import KEY_MILLISECONDS, Receipt

# The columns of a receipt.
_RECEIPT = "message_id, recipient, sent_at, known, last_seen_at, watching, pending, forwarded_from"
_REPLACE = (
    "ON CONFLICT (sender, key) DO UPDATE SET (digest, "
    + _RECEIPT
    + ") = ("
    + ", ".join(f"excluded.{column}" for column in f"digest, {_RECEIPT}".split(", "))
    + ")"
)


class PostgresKeys:
    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection

    def find(self, sender: str, key: str, now: int) -> tuple[Receipt, bytes] | None:
        """Return the receipt of a key, marked as a duplicate, and the message's digest; or None."""
        found = self._connection.execute(
            f"SELECT digest, {_RECEIPT} FROM idempotency_key"
            " WHERE sender = %s AND key = %s AND sent_at > %s",
            (sender, key.encode(), now - KEY_MILLISECONDS),
        ).fetchone()
        if found is None:
            return None
        digest, number, recipient, sent_at, known, last_seen_at, watching, pending, former = found
        receipt = Receipt(
            id=number,
            sender=sender,
            recipient=recipient,
            sent_at=sent_at,
            known=known,
            last_seen_at=last_seen_at,
            watching=watching,
            pending=pending,
            forwarded_from=former,
            duplicate=True,
        )
        return receipt, digest

    def keep(self, sender: str, key: str, receipt: Receipt, digest: bytes) -> None:
        """Keep the receipt for *key* under the sender's present name, and under *sender*."""
        for name in sorted({sender, receipt.sender}):
            self._connection.execute(
                f"INSERT INTO idempotency_key (sender, key, digest, {_RECEIPT})"
                f" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) {_REPLACE}",
                (
                    name,
                    key.encode(),
                    digest,
                    receipt.id,
                    receipt.recipient,
                    receipt.sent_at,
                    receipt.known,
                    receipt.last_seen_at,
                    receipt.watching,
                    receipt.pending,
                    receipt.forwarded_from,
                ),
            )

    def copy(self, old: str, new: str, now: int) -> None:
        """Copy the keys of a mailbox to its new name."""
        self._connection.execute(
            f"INSERT INTO idempotency_key (sender, key, digest, {_RECEIPT})"
            f" SELECT %s, key, digest, {_RECEIPT} FROM idempotency_key"
            f" WHERE sender = %s AND sent_at > %s {_REPLACE}",
            (new, old, now - KEY_MILLISECONDS),
        )

    def delete_before(self, time: int) -> int:
        """Delete the keys of messages sent before *time*; return how many there were."""
        return self._connection.execute(
            "DELETE FROM idempotency_key WHERE sent_at < %s", (time,)
        ).rowcount
