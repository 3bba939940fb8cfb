"""SQL of leases: claims, settlements, releases and extensions.

The token of a lease is ``<message>-<nonce>``. A daemon
that was frozen while its leases were released has old nonces, and cannot settle anything with them.

``delivered_by`` is written by the claim, because a settlement does not know how the message was
delivered. It is valid once the message is delivered.
"""

from collections.abc import Callable, Iterable, Sequence

from claude_mailbox.daemon.store.envelopes import envelope_of
from claude_mailbox.daemon.store.operations.mail import LeaseStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.nonces import Nonces
from claude_mailbox.daemon.store.postgres.schema import LEASED, WAITING
from claude_mailbox.errors import Renamed
from claude_mailbox.model.mail import Claim, Delivery, LeaseOutcome, parse_token, shown_characters

_CLAIM = f"SELECT * FROM claim_messages({', '.join(['%s'] * 12)})"
_SETTLE = "SELECT * FROM settle_messages(%s, %s, %s, %s, %s)"
_PUT_BACK = f"state = {WAITING}, lease = NULL, lease_until = NULL, holder = NULL"
# The given leases that exist; with a mailbox, only those on messages to it.
_HELD = (
    " FROM unnest(%(numbers)s::bigint[], %(nonces)s::text[]) AS token (number, nonce)"
    " WHERE id = number AND lease = nonce AND (%(mailbox)s::text IS NULL OR recipient_id ="
    " coalesce((SELECT id FROM mailbox WHERE name = %(mailbox)s),"
    " (SELECT mailbox_id FROM alias WHERE name = %(mailbox)s)))"
)
_RETURNING = " RETURNING number, nonce, recipient_id"


class PostgresLeases(LeaseStore):
    def __init__(
        self,
        connection: StoreConnection,
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
        nonce = self._nonces.new()
        holder = None if lease_until is not None else self._daemon_id
        bounds = limit, max_bytes, at_least_one, max_attempts, thread
        lease = nonce, lease_until, holder, by
        rows = self._locks.by_function(_CLAIM, (name, now, *bounds, *lease), name=name)
        present, (mailbox_id, seen_at, *_) = name, rows[0]
        if mailbox_id is None or seen_at is None:
            present = self._mailboxes.find_or_make(name, now, locked=True)[1]
            if present_name_only and present != name:
                raise Renamed(name, present)
            if mailbox_id is None:
                rows = self._locks.by_function(
                    _CLAIM, (present, now, *bounds, *lease), name=present
                )
        _, _, waiting, exhausted, *_ = rows[0]
        deliveries: list[Delivery] = []
        characters = 0
        claimed = [row[4:] for row in rows if row[4] is not None]
        for number, sender, body, sent_at, attempts, *more in claimed:
            token = f"{number}-{nonce}"
            delivery = Delivery(
                number, sender, body.decode(), sent_at, attempts, token, envelope_of(*more)
            )
            if max_characters is not None:
                characters += measure(delivery)
                if characters > max_characters and (deliveries or not at_least_one):
                    break
            deliveries.append(delivery)
        too_many = [row[0] for row in claimed[len(deliveries) :]]
        if too_many:
            self._connection.execute(
                f"UPDATE message SET {_PUT_BACK}, attempts = attempts - 1 WHERE id = ANY(%s)",
                (too_many,),
            )
        return Claim(present, deliveries, waiting + len(too_many) - len(exhausted), exhausted)

    def settle(self, tokens: Iterable[str], now: int, mailbox: str | None = None) -> LeaseOutcome:
        tokens = list(tokens)
        leases = [parse_token(token) for token in tokens]
        numbers, nonces = [number for number, _ in leases], [nonce for _, nonce in leases]
        rows = self._locks.by_function(_SETTLE, (numbers, nonces, mailbox, now), messages=numbers)
        settled = {(number, nonce) for _, number, nonce in rows}
        done = [token for token, lease in zip(tokens, leases, strict=True) if lease in settled]
        lost = [token for token, lease in zip(tokens, leases, strict=True) if lease not in settled]
        return LeaseOutcome(done, lost)

    def release(
        self, tokens: Iterable[str], mailbox: str | None = None
    ) -> tuple[LeaseOutcome, Sequence[str]]:
        # After a crash of the server there must be no lease that the daemon has forgotten.
        self._connection.execute("SET LOCAL synchronous_commit = on")
        statement = f"UPDATE message SET {_PUT_BACK}{_HELD} AND state = {LEASED}{_RETURNING}"
        outcome, mailboxes = self._change(statement, tokens, mailbox, ends=True)
        return outcome, self._mailboxes.names(mailboxes)

    def extend(
        self, tokens: Iterable[str], lease_until: int, mailbox: str | None = None
    ) -> LeaseOutcome:
        statement = (
            f"UPDATE message SET lease_until = %(lease_until)s{_HELD} AND state = {LEASED}"
            f" AND lease_until IS NOT NULL{_RETURNING}"
        )
        return self._change(statement, tokens, mailbox, lease_until=lease_until)[0]

    def _change(
        self,
        statement: str,
        tokens: Iterable[str],
        mailbox: str | None,
        *,
        ends: bool = False,
        **values: object,
    ) -> tuple[LeaseOutcome, set[int]]:
        """Change leases; return those that existed, and the ids of their mailboxes.

        A token that is given twice counts once if this ends its lease.
        """
        tokens = list(tokens)
        leases = [parse_token(token) for token in tokens]
        numbers = [number for number, _ in leases]
        values |= {"numbers": numbers, "nonces": [nonce for _, nonce in leases], "mailbox": mailbox}
        (changed,) = self._locks.of_messages_then(numbers, (statement, values))
        reached = {(number, nonce): recipient_id for number, nonce, recipient_id in changed}
        mailboxes = set(reached.values())
        done: list[str] = []
        lost: list[str] = []
        for token, lease in zip(tokens, leases, strict=True):
            (done if lease in reached else lost).append(token)
            if ends:
                reached.pop(lease, None)
        return LeaseOutcome(done, lost), mailboxes

    def expire(self, now: int) -> Sequence[str]:
        return self._put_back(f"state = {LEASED} AND lease_until <= %s", now)

    def give_up(self, nonces: Sequence[str]) -> None:
        """Release leases that nobody holds."""
        self._put_back(f"state = {LEASED} AND lease = ANY(%s)", list(nonces))

    def give_up_abandoned(self) -> Sequence[str]:
        """Release the connection-bound leases of dead daemons; return their mailboxes."""
        return self._put_back(
            f"state = {LEASED} AND lease_until IS NULL AND holder <> %s"
            " AND NOT EXISTS (SELECT 1 FROM daemon WHERE daemon.id = holder)",
            self._daemon_id,
        )

    def _put_back(self, condition: str, value: object) -> Sequence[str]:
        """Release the leases that meet the condition; return their mailboxes."""
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
