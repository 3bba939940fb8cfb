"""SQL of leases: claims, settlements, releases and extensions.

The token of a lease is ``<message>-<nonce>``.

``delivered_by`` is written by the claim, because a settlement does not know how the message was
delivered. It is valid once the message is delivered.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence

import apsw

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.mail import LeaseStore
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import DELIVERED, LEASED, WAITING
from claude_mailbox.errors import Renamed
from claude_mailbox.model.mail import Claim, Delivery, LeaseOutcome, parse_token, shown_characters


class SqliteLeases(LeaseStore):
    def __init__(self, connection: apsw.Connection, mailboxes: SqliteMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def claim(
        self,
        name: str,
        now: int,
        *,
        limit: int,
        max_bytes: int,
        lease_until: int | None = None,
        max_characters: int | None = None,
        measure: Callable[[Delivery], int] = shown_characters,
        at_least_one: bool = True,
        present_name_only: bool = False,
        by: str | None = None,
        max_attempts: int = 0,
        thread: int | None = None,
    ) -> Claim:
        mailbox_id, present = self._mailboxes.find_or_make(name, now)
        if present_name_only and present != name:
            raise Renamed(name, present)
        nonce = secrets.token_hex(6)
        deliveries: list[Delivery] = []
        exhausted: list[int] = []
        size = characters = 0
        in_thread = "" if thread is None else f" AND {int(thread)} IN (message.thread, message.id)"
        for number, sender, body, sent_at, attempts, *more in self._connection.execute(
            # CROSS JOIN keeps this order of the tables, so that the line's index is read first.
            "SELECT message.id, coalesce(mailbox.name, message.sender), text, sent_at, attempts,"
            f" {COLUMNS}"
            " FROM message CROSS JOIN body ON body.message_id = message.id"
            " LEFT JOIN mailbox ON mailbox.id = message.sender_id"
            f" WHERE recipient_id = ? AND state = {WAITING}"
            f" AND (expires_at IS NULL OR expires_at > ?){in_thread} ORDER BY urgency < 1, message.id",
            (mailbox_id, now),
        ):
            if max_attempts and attempts >= max_attempts:
                exhausted.append(number)
                continue
            size += len(body) if body.isascii() else len(body.encode())
            token = f"{number}-{nonce}"
            delivery = Delivery(
                number, sender, body, sent_at, attempts + 1, token, envelope_of(*more)
            )
            is_over = size > max_bytes
            if max_characters is not None:
                characters += measure(delivery)
                is_over = is_over or characters > max_characters
            if is_over and (deliveries or not at_least_one):
                break
            deliveries.append(delivery)
            if len(deliveries) == limit:
                break
        self._connection.executemany(
            f"UPDATE message SET state = {LEASED}, attempts = attempts + 1, lease = ?,"
            " lease_until = ?, delivered_by = ? WHERE id = ?",
            ((nonce, lease_until, by, delivery.id) for delivery in deliveries),
        )
        return Claim(
            present, deliveries, self._mailboxes.counts(mailbox_id)[0] - len(exhausted), exhausted
        )

    def settle(self, tokens: Iterable[str], now: int, mailbox: str | None = None) -> LeaseOutcome:
        mailbox_id = self._id_of(mailbox)
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            self._connection.execute(
                f"UPDATE message SET state = {DELIVERED}, delivered_at = ?, lease_until = NULL"
                f" WHERE id = ? AND lease = ? AND state = {LEASED}"
                " AND recipient_id = ifnull(?, recipient_id)",
                (now, number, nonce, mailbox_id),
            )
            is_delivered = (
                self._connection.changes()
                or self._connection.execute(
                    "SELECT EXISTS (SELECT 1 FROM message WHERE id = ? AND lease = ?"
                    f" AND state = {DELIVERED} AND recipient_id = ifnull(?, recipient_id))",
                    (number, nonce, mailbox_id),
                ).get
            )
            (done if is_delivered else lost).append(token)
        return LeaseOutcome(done, lost)

    def release(
        self, tokens: Iterable[str], mailbox: str | None = None
    ) -> tuple[LeaseOutcome, Sequence[str]]:
        mailbox_id = self._id_of(mailbox)
        done: list[str] = []
        lost: list[str] = []
        mailboxes = set()
        for token in tokens:
            number, nonce = parse_token(token)
            recipient_id = self._connection.execute(
                f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL"
                f" WHERE id = ? AND lease = ? AND state = {LEASED}"
                " AND recipient_id = ifnull(?, recipient_id) RETURNING recipient_id",
                (number, nonce, mailbox_id),
            ).get
            if recipient_id is None:
                lost.append(token)
            else:
                done.append(token)
                mailboxes.add(recipient_id)
        return LeaseOutcome(done, lost), self._mailboxes.names(mailboxes)

    def extend(
        self, tokens: Iterable[str], lease_until: int, mailbox: str | None = None
    ) -> LeaseOutcome:
        mailbox_id = self._id_of(mailbox)
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            self._connection.execute(
                "UPDATE message SET lease_until = ?"
                f" WHERE id = ? AND lease = ? AND state = {LEASED}"
                " AND lease_until IS NOT NULL AND recipient_id = ifnull(?, recipient_id)",
                (lease_until, number, nonce, mailbox_id),
            )
            (done if self._connection.changes() else lost).append(token)
        return LeaseOutcome(done, lost)

    def _id_of(self, mailbox: str | None) -> int | None:
        """Return the id of the mailbox that leases must belong to: None for any, -1 for an unknown one."""
        if mailbox is None:
            return None
        found = self._mailboxes.find(mailbox)
        return found[0] if found else -1

    def expire(self, now: int) -> Sequence[str]:
        mailboxes = {
            recipient_id
            for (recipient_id,) in self._connection.execute(
                f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL"
                f" WHERE state = {LEASED} AND lease_until <= ? RETURNING recipient_id",
                (now,),
            )
        }
        return self._mailboxes.names(mailboxes)

    def next_expiry(self) -> int | None:
        following: int | None = self._connection.execute(
            "SELECT min(lease_until) FROM message"
            f" WHERE state = {LEASED} AND lease_until IS NOT NULL"
        ).get
        return following

    def bound_tokens(self) -> set[str]:
        return {
            f"{number}-{nonce}"
            for number, nonce in self._connection.execute(
                f"SELECT id, lease FROM message WHERE state = {LEASED} AND lease_until IS NULL"
            )
        }
