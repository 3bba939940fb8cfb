"""SQL of mailboxes and of sending, as plain functions of a connection. No trio; time is an argument.

What hands messages out is in lease_store.py, what knows sessions in session_store.py.

All times are milliseconds since the epoch. Each function expects to run inside a transaction
that its caller commits (see ledger.py); it raises errors of the domain, never SQL.
"""

from collections.abc import Callable, Iterable, Mapping

import apsw

from claude_mailbox.daemon.store.sqlite.schema import WAITING
from claude_mailbox.errors import BadRequest, QuotaFull, TargetExists
from claude_mailbox.model import Backlog, Listing, Receipt, Rename


def row(connection: apsw.Connection, sql: str, *values: object) -> tuple[object, ...] | None:
    """Return the first row that a statement yields, or None."""
    for row in connection.execute(sql, values):
        return row  # type: ignore[no-any-return]  # apsw rows are tuples
    return None


def resolve(connection: apsw.Connection, name: str) -> tuple[int, str] | None:
    """Return id and present name of the mailbox that *name* stands for, or None."""
    for row in connection.execute("SELECT id, name FROM mailbox WHERE name = ?", (name,)):
        return row  # type: ignore[no-any-return]
    for row in connection.execute(
        "SELECT mailbox.id, mailbox.name FROM alias JOIN mailbox ON mailbox.id = alias.mailbox_id"
        " WHERE alias.name = ?",
        (name,),
    ):
        return row  # type: ignore[no-any-return]
    return None


def register(
    connection: apsw.Connection, name: str, now: int, *, seen: bool = True
) -> tuple[int, str]:
    """Return id and present name of the mailbox, which is made when there is none.

    With *seen* false it was only written to: nobody has used it yet.
    """
    found = resolve(connection, name)
    if found is None:
        connection.execute(
            "INSERT INTO mailbox (name, created_at, last_seen_at) VALUES (?, ?, ?)",
            (name, now, now if seen else None),
        )
        return connection.last_insert_rowid(), name
    if seen:
        connection.execute(
            "UPDATE mailbox SET last_seen_at = ? WHERE id = ? AND last_seen_at IS NULL",
            (now, found[0]),
        )
    return found


def mark_seen(connection: apsw.Connection, seen: Mapping[str, int]) -> None:
    """Write down when mailboxes were last used, by name."""
    for name, at in seen.items():
        found = resolve(connection, name)
        if found is not None:
            connection.execute(
                "UPDATE mailbox SET last_seen_at = max(coalesce(last_seen_at, 0), ?) WHERE id = ?",
                (at, found[0]),
            )


def send(
    connection: apsw.Connection,
    sender: str,
    to: str,
    body: str,
    now: int,
    glance: Callable[[str], tuple[int | None, bool]] = lambda name: (None, False),
    *,
    key: str | None = None,
    max_pending: int = 100_000,
) -> Receipt:
    """Store a message.

    With a *key* that this sender used before, store nothing and give that answer again. *glance*
    tells of the recipient what only memory knows: when it was last seen, and if it is watched.

    Raises:
        QuotaFull: if the mailbox holds *max_pending* undelivered messages.
    """
    sender_id, sender_name = register(connection, sender, now)
    if key is not None:
        first = _first_answer(connection, sender_id, sender_name, key)
        if first is not None:
            return first
    recipient_id, recipient = register(connection, to, now, seen=False)
    waiting, leased = counts(connection, recipient_id)
    if waiting + leased >= max_pending:
        raise QuotaFull(
            f"Mailbox '{recipient}' is full: {waiting + leased} messages pend there (the limit is"
            f" {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its owner"
            " has read some."
        )
    found = row(connection, "SELECT last_seen_at FROM mailbox WHERE id = ?", recipient_id)
    written = found[0] if found else None
    remembered, watching = glance(recipient)
    last_seen_at = remembered if remembered is not None else written
    connection.execute(
        "INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (recipient_id, sender_id, recipient, sender_name, now),
    )
    number = connection.last_insert_rowid()
    connection.execute("INSERT INTO body (message_id, text) VALUES (?, ?)", (number, body))
    receipt = Receipt(
        id=number,
        sender=sender_name,
        recipient=recipient,
        sent_at=now,
        known=last_seen_at is not None,
        last_seen_at=last_seen_at,  # type: ignore[arg-type]  # an INTEGER column
        watching=watching,
        pending=waiting + 1,
        forwarded_from=to if recipient != to else None,
    )
    if key is not None:
        connection.execute(
            "INSERT INTO answer (sender_id, key, message_id, recipient, sent_at, known,"
            " last_seen_at, watching, pending, forwarded_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sender_id,
                key,
                receipt.id,
                recipient,
                now,
                receipt.known,
                last_seen_at,
                watching,
                receipt.pending,
                receipt.forwarded_from,
            ),
        )
    return receipt


def _first_answer(
    connection: apsw.Connection, sender_id: int, sender: str, key: str
) -> Receipt | None:
    for row in connection.execute(
        "SELECT message_id, recipient, sent_at, known, last_seen_at, watching, pending,"
        " forwarded_from FROM answer WHERE sender_id = ? AND key = ?",
        (sender_id, key),
    ):
        number, recipient, sent_at, known, last_seen_at, watching, pending, forwarded_from = row
        return Receipt(
            id=number,
            sender=sender,
            recipient=recipient,
            sent_at=sent_at,
            known=bool(known),
            last_seen_at=last_seen_at,
            watching=bool(watching),
            pending=pending,
            forwarded_from=forwarded_from,
            duplicate=True,
        )
    return None


def counts(connection: apsw.Connection, mailbox_id: int) -> tuple[int, int]:
    """Return how many messages wait in a mailbox, and how many are leased."""
    for waiting, leased in connection.execute(
        "SELECT coalesce(sum(waiting), 0), coalesce(sum(leased), 0) FROM backlog"
        " WHERE recipient_id = ?",
        (mailbox_id,),
    ):
        return waiting, leased
    return 0, 0


def peek(connection: apsw.Connection, name: str) -> Backlog:
    """Count what waits in a mailbox, without touching it; an unknown one is empty."""
    found = resolve(connection, name)
    if found is None:
        return Backlog(0, None)
    oldest = row(
        connection,
        f"SELECT sent_at FROM message WHERE recipient_id = ? AND state = {WAITING}"
        " ORDER BY id LIMIT 1",
        found[0],
    )
    pending = counts(connection, found[0])[0]
    return Backlog(pending, oldest[0] if oldest else None)  # type: ignore[arg-type]  # INTEGER


def list_mailboxes(
    connection: apsw.Connection, caller: str | None, seen_since: int, awake: Iterable[str] = ()
) -> list[Listing]:
    """Return the mailboxes used since *seen_since*, most recent first.

    Also the caller's own, those of senders with mail for the caller, and those named in
    *awake*, however old.
    """
    found = resolve(connection, caller) if caller is not None else None
    caller_id = found[0] if found else None
    keep = set(awake)
    rows = connection.execute(
        "SELECT mailbox.id, name, created_at, last_seen_at,"
        " coalesce((SELECT sum(waiting) FROM backlog WHERE recipient_id = mailbox.id), 0),"
        " coalesce((SELECT waiting FROM backlog WHERE recipient_id = ? AND sender_id = mailbox.id),"
        " 0) FROM mailbox ORDER BY coalesce(last_seen_at, created_at) DESC, mailbox.id",
        (caller_id,),
    )
    return [
        Listing(name, last_seen_at, pending, for_caller)
        for mailbox_id, name, created_at, last_seen_at, pending, for_caller in rows
        if mailbox_id == caller_id
        or for_caller
        or name in keep
        or (last_seen_at if last_seen_at is not None else created_at) >= seen_since
    ]


def rename(connection: apsw.Connection, current: str, to: str, now: int) -> Rename:
    """Give a mailbox a new name and leave the old one behind as an alias.

    Raises:
        BadRequest: if it has that name already.
        TargetExists: if the name is another mailbox's, or was left behind by another one.
    """
    mailbox_id, old = register(connection, current, now)
    if to == old:
        raise BadRequest(f"The mailbox is already named '{old}': give another name.")
    owner = resolve(connection, to)
    if owner is not None and owner[0] != mailbox_id:
        former = "" if owner[1] == to else f" (it forwards to '{owner[1]}')"
        raise TargetExists(f"The name '{to}' is taken{former}: choose another one.")
    connection.execute("DELETE FROM alias WHERE name = ?", (to,))
    connection.execute("UPDATE mailbox SET name = ? WHERE id = ?", (to, mailbox_id))
    connection.execute("INSERT INTO alias (name, mailbox_id) VALUES (?, ?)", (old, mailbox_id))
    return Rename(old, to, sum(counts(connection, mailbox_id)))


def delete(connection: apsw.Connection, name: str) -> bool:
    """Delete a mailbox if nothing pends in either direction; return whether that was done."""
    found = resolve(connection, name)
    if found is None:
        return False
    mailbox_id = found[0]
    if row(
        connection,
        "SELECT 1 FROM backlog WHERE (recipient_id = ? OR sender_id = ?) AND waiting + leased > 0",
        mailbox_id,
        mailbox_id,
    ):
        return False
    connection.execute("DELETE FROM mailbox WHERE id = ?", (mailbox_id,))
    connection.execute(
        "DELETE FROM backlog WHERE recipient_id = ? OR sender_id = ?", (mailbox_id, mailbox_id)
    )
    return True


def sweep(connection: apsw.Connection, idle_since: int, spare: Iterable[str] = ()) -> list[str]:
    """Delete mailboxes unused since *idle_since* with nothing pending; return their names.

    Those named in *spare* stay. Answers to keyed sends from before that time go too.
    """
    keep = set(spare)
    stale = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM mailbox WHERE coalesce(last_seen_at, created_at) < ?", (idle_since,)
        )
    ]
    gone = [name for name in stale if name not in keep and delete(connection, name)]
    connection.execute("DELETE FROM answer WHERE sent_at < ?", (idle_since,))
    return gone
