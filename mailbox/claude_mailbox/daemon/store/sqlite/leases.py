"""SQL of leases: hand messages out, and take word of what became of them. As store.py.

A lease is named by a token, ``<message>-<nonce>``: so it is found by the message's number.
"""

import secrets
from collections.abc import Iterable, Sequence

import apsw

from claude_mailbox.daemon.store.sqlite import mail as store
from claude_mailbox.daemon.store.sqlite.schema import DELIVERED, LEASED, WAITING
from claude_mailbox.errors import Renamed
from claude_mailbox.model import Claim, Delivery, LeaseOutcome

# What the framing around a message adds when it is shown to a model, in characters.
FRAME_CHARACTERS = 200


def claim(
    connection: apsw.Connection,
    name: str,
    now: int,
    *,
    limit: int,
    max_bytes: int,
    lease_until: int | None = None,
    max_characters: int | None = None,
    at_least_one: bool = True,
    present_name_only: bool = False,
) -> Claim:
    """Lease the oldest waiting messages of a mailbox, which is registered when it is new.

    Takes whole messages: at most *limit*, at most *max_bytes* of bodies in UTF-8, at most
    *max_characters* of bodies with their framing; with *at_least_one* the first message is taken
    whatever its size. Without *lease_until* the leases are bound to the connection.

    Raises:
        Renamed: if *present_name_only* and *name* is a former name.
    """
    mailbox_id, present = store.register(connection, name, now)
    if present_name_only and present != name:
        raise Renamed(name, present)
    nonce = secrets.token_hex(6)
    deliveries: list[Delivery] = []
    size = characters = 0
    for number, sender, body, sent_at, attempts in connection.execute(
        # CROSS JOIN keeps the order of the tables: from the line's index to the bodies.
        "SELECT message.id, coalesce(mailbox.name, message.sender), text, sent_at, attempts"
        " FROM message CROSS JOIN body ON body.message_id = message.id"
        " LEFT JOIN mailbox ON mailbox.id = message.sender_id"
        f" WHERE recipient_id = ? AND state = {WAITING} ORDER BY message.id LIMIT ?",
        (mailbox_id, limit),
    ):
        size += len(body) if body.isascii() else len(body.encode())
        characters += len(body) + FRAME_CHARACTERS
        is_over = size > max_bytes or (max_characters is not None and characters > max_characters)
        if is_over and (deliveries or not at_least_one):
            break
        token = f"{number}-{nonce}"
        deliveries.append(Delivery(number, sender, body, sent_at, attempts + 1, token))
    connection.executemany(
        f"UPDATE message SET state = {LEASED}, attempts = attempts + 1, lease = ?, lease_until = ?"
        " WHERE id = ?",
        ((nonce, lease_until, delivery.id) for delivery in deliveries),
    )
    return Claim(present, deliveries, store.counts(connection, mailbox_id)[0])


def settle(
    connection: apsw.Connection, tokens: Iterable[str], now: int, holder: str | None = None
) -> LeaseOutcome:
    """Mark leased messages delivered. Doing it again with the same token is done, not lost.

    With *holder*, only leases on messages of that mailbox count; so in the next two functions.
    """
    holder_id = _holder_id(connection, holder)
    done: list[str] = []
    lost: list[str] = []
    for token in tokens:
        number, nonce = _parse_token(token)
        connection.execute(
            f"UPDATE message SET state = {DELIVERED}, delivered_at = ?, lease_until = NULL"
            f" WHERE id = ? AND lease = ? AND state = {LEASED} AND recipient_id = ifnull(?, recipient_id)",
            (now, number, nonce, holder_id),
        )
        if connection.changes() or store.row(
            connection,
            f"SELECT 1 FROM message WHERE id = ? AND lease = ? AND state = {DELIVERED}"
            " AND recipient_id = ifnull(?, recipient_id)",
            number,
            nonce,
            holder_id,
        ):
            done.append(token)
        else:
            lost.append(token)
    return LeaseOutcome(done, lost)


def release(
    connection: apsw.Connection, tokens: Iterable[str], holder: str | None = None
) -> tuple[LeaseOutcome, Sequence[str]]:
    """Put leased messages back in their places; also return the mailboxes that got some."""
    holder_id = _holder_id(connection, holder)
    done: list[str] = []
    lost: list[str] = []
    mailboxes = set()
    for token in tokens:
        number, nonce = _parse_token(token)
        reached = False
        for (mailbox_id,) in connection.execute(
            f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL"
            f" WHERE id = ? AND lease = ? AND state = {LEASED}"
            " AND recipient_id = ifnull(?, recipient_id) RETURNING recipient_id",
            (number, nonce, holder_id),
        ):
            reached = True
            mailboxes.add(mailbox_id)
        (done if reached else lost).append(token)
    return LeaseOutcome(done, lost), _names(connection, mailboxes)


def extend(
    connection: apsw.Connection,
    tokens: Iterable[str],
    lease_until: int,
    holder: str | None = None,
) -> LeaseOutcome:
    """Give explicit leases a new end."""
    holder_id = _holder_id(connection, holder)
    done: list[str] = []
    lost: list[str] = []
    for token in tokens:
        number, nonce = _parse_token(token)
        connection.execute(
            f"UPDATE message SET lease_until = ? WHERE id = ? AND lease = ? AND state = {LEASED}"
            " AND lease_until IS NOT NULL AND recipient_id = ifnull(?, recipient_id)",
            (lease_until, number, nonce, holder_id),
        )
        (done if connection.changes() else lost).append(token)
    return LeaseOutcome(done, lost)


def _holder_id(connection: apsw.Connection, holder: str | None) -> int | None:
    if holder is None:
        return None
    found = store.resolve(connection, holder)
    return found[0] if found else -1


def _parse_token(token: str) -> tuple[int, str]:
    """Return message number and nonce; (-1, "") for what was never a token of ours."""
    number, _, nonce = token.partition("-")
    # 18 digits always fit SQLite's integer.
    if token.isascii() and number.isdigit() and len(number) <= 18:
        return int(number), nonce
    return -1, ""


def _names(connection: apsw.Connection, mailbox_ids: Iterable[int]) -> list[str]:
    names = []
    for mailbox_id in mailbox_ids:
        found = store.row(connection, "SELECT name FROM mailbox WHERE id = ?", mailbox_id)
        if found:
            names.append(str(found[0]))
    return names


def expire(connection: apsw.Connection, now: int) -> Sequence[str]:
    """Put messages whose lease has run out back; return the mailboxes that got some."""
    mailboxes = {
        row[0]
        for row in connection.execute(
            f"UPDATE message SET state = {WAITING}, lease = NULL, lease_until = NULL"
            f" WHERE state = {LEASED} AND lease_until <= ? RETURNING recipient_id",
            (now,),
        )
    }
    return _names(connection, mailboxes)


def next_expiry(connection: apsw.Connection) -> int | None:
    """Return when the first explicit lease runs out."""
    found = store.row(
        connection,
        f"SELECT min(lease_until) FROM message WHERE state = {LEASED} AND lease_until IS NOT NULL",
    )
    return found[0] if found else None  # type: ignore[return-value]  # an INTEGER column


def bound_tokens(connection: apsw.Connection) -> set[str]:
    """Return the tokens of all connection-bound leases."""
    return {
        f"{number}-{nonce}"
        for number, nonce in connection.execute(
            f"SELECT id, lease FROM message WHERE state = {LEASED} AND lease_until IS NULL"
        )
    }
