"""SQL of leases: hand messages out, and take word of what became of them.

A lease is named by a token, ``<message>-<nonce>``: so it is found by the message's number. A daemon
that was frozen while its leases went to others has old nonces, and settles nothing with them.

``delivered_by`` is written by the claim, because whoever settles does not know the way by which
the message went. It counts once the message is delivered.
"""

from collections.abc import Callable, Iterable, Sequence

from claude_mailbox.daemon.store.envelopes import COLUMNS, envelope_of
from claude_mailbox.daemon.store.operations.mail import LeaseStore
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.nonces import Nonces
from claude_mailbox.daemon.store.postgres.schema import DELIVERED, LEASED, WAITING, Connection
from claude_mailbox.errors import Renamed
from claude_mailbox.model.mail import Claim, Delivery, LeaseOutcome, parse_token, shown_characters

_IN_LINE = (
    f"recipient_id = %(mailbox)s AND state = {WAITING}"
    " AND (expires_at IS NULL OR expires_at > %(now)s)"
)
_PUT_BACK = f"state = {WAITING}, lease = NULL, lease_until = NULL, holder = NULL"


class PostgresLeases(LeaseStore):
    def __init__(
        self,
        connection: Connection,
        locks: MailboxLocks,
        mailboxes: PostgresMailboxes,
        nonces: Nonces,
        daemon_id: str,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes
        self._nonces = nonces
        self._daemon_id = daemon_id

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
        mailbox_id, present, _ = self._mailboxes.find_or_make(name, now, locked=True)
        if present_name_only and present != name:
            raise Renamed(name, present)
        nonce = self._nonces.new()
        deliveries: list[Delivery] = []
        characters = 0
        for number, sender, body, sent_at, attempts, *more in self._connection.execute(
            # Sizes first, so that no more bodies are read than will be taken.
            f"SELECT line.id, coalesce(mailbox.name, line.sender), text, sent_at, attempts, {COLUMNS}"
            " FROM (SELECT first.*, sum(size) OVER place AS upto, row_number() OVER place AS place"
            " FROM (SELECT message.*, octet_length(text) AS size"
            f" FROM message JOIN body ON message_id = message.id WHERE {_IN_LINE}"
            " AND (%(worn)s = 0 OR attempts < %(worn)s)"
            " AND (%(thread)s::bigint IS NULL OR %(thread)s IN (thread, id))"
            " ORDER BY urgency < 1, message.id LIMIT %(limit)s) AS first"
            " WINDOW place AS (ORDER BY urgency < 1, id)"
            ") AS line JOIN body ON message_id = line.id LEFT JOIN mailbox ON mailbox.id = sender_id"
            " WHERE upto <= %(bytes)s OR (%(one)s AND place = 1) ORDER BY place",
            {
                "mailbox": mailbox_id,
                "now": now,
                "worn": max_attempts,
                "limit": limit,
                "bytes": max_bytes,
                "one": at_least_one,
                "thread": thread,
            },
        ):
            token = f"{number}-{nonce}"
            delivery = Delivery(
                number, sender, body.decode(), sent_at, attempts + 1, token, envelope_of(*more)
            )
            if max_characters is not None:
                characters += measure(delivery)
                if characters > max_characters and (deliveries or not at_least_one):
                    break
            deliveries.append(delivery)
        worn = self._worn(mailbox_id, now, max_attempts, thread) if max_attempts else []
        if deliveries:
            self._connection.execute(
                f"UPDATE message SET state = {LEASED}, attempts = attempts + 1, lease = %s,"
                " lease_until = %s, holder = %s, delivered_by = %s WHERE id = ANY(%s)",
                (
                    nonce,
                    lease_until,
                    None if lease_until is not None else self._daemon_id,
                    by,
                    [delivery.id for delivery in deliveries],
                ),
            )
        return Claim(present, deliveries, self._mailboxes.counts(mailbox_id)[0] - len(worn), worn)

    def _worn(self, mailbox_id: int, now: int, max_attempts: int, thread: int | None) -> list[int]:
        """Return the waiting messages that were handed out too often."""
        rows = self._connection.execute(
            f"SELECT id FROM message WHERE {_IN_LINE} AND attempts >= %(worn)s"
            " AND (%(thread)s::bigint IS NULL OR %(thread)s IN (thread, id)) ORDER BY id",
            {"mailbox": mailbox_id, "now": now, "worn": max_attempts, "thread": thread},
        ).fetchall()
        return [number for (number,) in rows]

    def settle(self, tokens: Iterable[str], now: int, mailbox: str | None = None) -> LeaseOutcome:
        tokens, mailbox_id = list(tokens), self._id_of(mailbox)
        self._lock_mailboxes_of(tokens)
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            reached = self._connection.execute(
                f"UPDATE message SET state = {DELIVERED}, lease_until = NULL, holder = NULL,"
                f" delivered_at = CASE state WHEN {LEASED} THEN %s ELSE delivered_at END"
                f" WHERE id = %s AND lease = %s AND state IN ({LEASED}, {DELIVERED})"
                " AND recipient_id = coalesce(%s, recipient_id)",
                (now, number, nonce, mailbox_id),
            ).rowcount
            (done if reached else lost).append(token)
        return LeaseOutcome(done, lost)

    def release(
        self, tokens: Iterable[str], mailbox: str | None = None
    ) -> tuple[LeaseOutcome, Sequence[str]]:
        tokens, mailbox_id = list(tokens), self._id_of(mailbox)
        # A crash of the server must not bring a lease back of which the daemon knows no more.
        self._connection.execute("SET LOCAL synchronous_commit = on")
        self._lock_mailboxes_of(tokens)
        done: list[str] = []
        lost: list[str] = []
        mailboxes = set()
        for token in tokens:
            number, nonce = parse_token(token)
            released = self._connection.execute(
                f"UPDATE message SET {_PUT_BACK} WHERE id = %s AND lease = %s AND state = {LEASED}"
                " AND recipient_id = coalesce(%s, recipient_id) RETURNING recipient_id",
                (number, nonce, mailbox_id),
            ).fetchone()
            if released is None:
                lost.append(token)
            else:
                done.append(token)
                mailboxes.add(released[0])
        return LeaseOutcome(done, lost), self._mailboxes.names(mailboxes)

    def extend(
        self, tokens: Iterable[str], lease_until: int, mailbox: str | None = None
    ) -> LeaseOutcome:
        tokens, mailbox_id = list(tokens), self._id_of(mailbox)
        self._lock_mailboxes_of(tokens)
        done: list[str] = []
        lost: list[str] = []
        for token in tokens:
            number, nonce = parse_token(token)
            reached = self._connection.execute(
                "UPDATE message SET lease_until = %s"
                f" WHERE id = %s AND lease = %s AND state = {LEASED}"
                " AND lease_until IS NOT NULL AND recipient_id = coalesce(%s, recipient_id)",
                (lease_until, number, nonce, mailbox_id),
            ).rowcount
            (done if reached else lost).append(token)
        return LeaseOutcome(done, lost)

    def _lock_mailboxes_of(self, tokens: Iterable[str]) -> None:
        """Lock the mailboxes of leased messages."""
        rows = self._connection.execute(
            "SELECT DISTINCT recipient_id FROM message WHERE id = ANY(%s)",
            ([parse_token(token)[0] for token in tokens],),
        ).fetchall()
        self._locks.all(number for (number,) in rows)

    def _id_of(self, mailbox: str | None) -> int | None:
        """Return the id that leases must belong to: None for any, -1 for an unknown mailbox."""
        if mailbox is None:
            return None
        found = self._mailboxes.find(mailbox)
        return found[0] if found else -1

    def expire(self, now: int) -> Sequence[str]:
        return self._put_back(f"state = {LEASED} AND lease_until <= %s", now)

    def give_up(self, nonces: Sequence[str]) -> None:
        """Put messages back of whose leases nobody may have heard."""
        self._put_back(f"state = {LEASED} AND lease = ANY(%s)", list(nonces))

    def give_up_abandoned(self) -> Sequence[str]:
        """Put messages back that daemons held which are gone; return the mailboxes that got some."""
        return self._put_back(
            f"state = {LEASED} AND lease_until IS NULL AND holder <> %s"
            " AND NOT EXISTS (SELECT 1 FROM daemon WHERE daemon.id = holder)",
            self._daemon_id,
        )

    def _put_back(self, condition: str, value: object) -> Sequence[str]:
        """Put the messages back that meet the condition; return the mailboxes that got some."""
        rows = self._connection.execute(
            f"SELECT DISTINCT recipient_id FROM message WHERE {condition}", (value,)
        ).fetchall()
        if not rows:
            return []
        mailbox_ids = [number for (number,) in rows]
        self._locks.all(mailbox_ids)
        put_back = self._connection.execute(
            f"UPDATE message SET {_PUT_BACK} WHERE {condition} AND recipient_id = ANY(%s)"
            " RETURNING recipient_id",
            (value, mailbox_ids),
        ).fetchall()
        return self._mailboxes.names({number for (number,) in put_back})

    def next_expiry(self) -> int | None:
        row = self._connection.execute(
            f"SELECT min(lease_until) FROM message WHERE state = {LEASED}"
        ).fetchone()
        return None if row is None else row[0]

    def bound_tokens(self) -> set[str]:
        rows = self._connection.execute(
            "SELECT id, lease FROM message"
            f" WHERE state = {LEASED} AND lease_until IS NULL AND holder = %s",
            (self._daemon_id,),
        )
        return {f"{number}-{nonce}" for number, nonce in rows}
