"""Reading exported messages into a database that no daemon uses."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import apsw

from claude_mailbox.cli.copies.messages import STATES
from claude_mailbox.daemon.process.lock import DatabaseLock
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.drafts import HIGH, LOW
from claude_mailbox.model.mail import check_body
from claude_mailbox.model.names import check_name
from claude_mailbox.model.times import parse_time

_BODY_LIMIT = 64 * 1024 * 1024
_URGENCIES = {HIGH: 1, LOW: -1}
# The messages before the import, with the names that `export` writes: a deleted mailbox has only those.
_EXISTING = """
CREATE TEMP TABLE existing AS
SELECT message.id, coalesce(a.name, message.sender) AS sender,
    coalesce(b.name, message.recipient) AS recipient, sent_at
FROM message
LEFT JOIN mailbox AS a ON a.id = sender_id LEFT JOIN mailbox AS b ON b.id = recipient_id;
CREATE INDEX temp.existing_sent ON existing (sent_at, recipient)
"""
# What was on its way when it was exported waits again.
_STATES = {**{name: number for number, name in enumerate(STATES)}, "leased": 0, "delayed": 0}


def import_messages(lines: Iterator[str], path: str) -> tuple[int, int]:
    """Store the exported messages in the database at *path*, all or none.

    A message that already exists, with the same sender, receiver, time and text, is not stored
    again, so an import can be repeated.

    Returns:
        How many were stored, and how many existed already.

    Raises:
        MailboxError: if a line is no exported message, with its number.
        StartupError: if a daemon uses the database, or it cannot be used.
    """
    lock = DatabaseLock(path)
    try:
        connection = open_database(path)
        try:
            return _all_or_none(connection, lines)
        finally:
            close_database(connection)
    except apsw.Error as error:
        raise MailboxError(f"Cannot write to {path} ({error}); nothing was imported.") from None
    finally:
        lock.close()


def _all_or_none(connection: apsw.Connection, lines: Iterator[str]) -> tuple[int, int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        counts = _import(connection, lines)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return counts


def _import(connection: apsw.Connection, lines: Iterator[str]) -> tuple[int, int]:
    connection.execute(_EXISTING)
    numbers: dict[int, int] = {}  # as exported -> here
    met: Counter[tuple[object, ...]] = Counter()
    stored = known = 0
    for position, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            message = _checked(line)
        except (ValueError, KeyError, TypeError, MailboxError) as error:
            raise MailboxError(
                f"Line {position} is no exported message ({error}); nothing was imported."
            ) from None
        key = (message["from"], message["to"], message["sentAt"], message["body"])
        same = _same(connection, *key)
        if met[key] < len(same):
            number = same[met[key]]
            known += 1
        else:
            number = _insert(connection, message, numbers)
            stored += 1
        met[key] += 1
        numbers[message["id"]] = number
    return stored, known


def _checked(line: str) -> dict[str, Any]:
    message = json.loads(line)
    body = message["body"]
    return {
        "id": int(message["id"]),
        "from": check_name(message["from"], "from"),
        "to": check_name(message["to"], "to"),
        # A body may be gone by its age.
        "body": check_body(body, _BODY_LIMIT) if body else "",
        "sentAt": parse_time(message["sentAt"], "sentAt"),
        "state": _STATES[message["state"]],
        "attempts": int(message.get("attempts", 0)),
        "deliveredAt": (
            parse_time(message["deliveredAt"], "deliveredAt") if "deliveredAt" in message else None
        ),
        "by": message.get("by"),
        "thread": message.get("thread"),
        "replyTo": message.get("replyTo"),
        "urgency": _URGENCIES.get(message.get("urgency"), 0),
    }


def _same(connection: apsw.Connection, sender: str, to: str, sent_at: int, body: str) -> list[int]:
    rows = connection.execute(
        "SELECT id FROM existing JOIN body ON message_id = id"
        " WHERE sender = ? AND recipient = ? AND sent_at = ? AND text = ? ORDER BY id",
        (sender, to, sent_at, body),
    )
    return [int(str(number)) for (number,) in rows]


def _insert(connection: apsw.Connection, message: dict[str, Any], numbers: dict[int, int]) -> int:
    sender_id = _mailbox(connection, message["from"], message["sentAt"])
    recipient_id = _mailbox(connection, message["to"], message["sentAt"])
    connection.execute(
        "INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at, state, attempts,"
        " delivered_at, delivered_by, thread, reply_to, urgency, is_quiet)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recipient_id,
            sender_id,
            message["to"],
            message["from"],
            message["sentAt"],
            message["state"],
            message["attempts"],
            message["deliveredAt"],
            message["by"],
            numbers.get(message["thread"]),
            numbers.get(message["replyTo"]),
            message["urgency"],
            message["urgency"] < 0,
        ),
    )
    number = connection.last_insert_rowid()
    connection.execute(
        "INSERT INTO body (message_id, text) VALUES (?, ?)", (number, message["body"])
    )
    return number


def _mailbox(connection: apsw.Connection, name: str, now: int) -> int:
    """Return the id of a mailbox, which is made with its history when there is none."""
    row = connection.execute("SELECT id FROM mailbox WHERE name = ?", (name,)).get
    if row is None:
        former = connection.execute(
            "DELETE FROM deleted_mailbox WHERE name = ? RETURNING mailbox_id", (name,)
        ).get
        connection.execute(
            "INSERT INTO mailbox (id, name, created_at) VALUES (?, ?, ?)", (former, name, now)
        )
        row = connection.last_insert_rowid()
    return int(str(row))
