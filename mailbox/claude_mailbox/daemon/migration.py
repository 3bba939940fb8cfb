"""Carrying the mail of a stopped daemon from SQLite to PostgreSQL, in one transaction.

What was copied is compared with its source by counts and hashes, and only then committed. So it
can be repeated: a database that has nothing but what was copied there before is filled anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import apsw
import psycopg

from claude_mailbox import paths
from claude_mailbox.daemon.databases import daemon_id
from claude_mailbox.daemon.process.lock import DatabaseLock, HomeLock
from claude_mailbox.daemon.store.postgres.database import open_database as open_postgres
from claude_mailbox.daemon.store.postgres.database import shown
from claude_mailbox.daemon.store.postgres.schema import Connection
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.files import examine
from claude_mailbox.errors import StartupError

# What PostgreSQL has besides: it is filled by triggers, or by the daemons.
_DERIVED = ("backlog", "search", "daemon")
_ONLY_LOCAL = ("session", "client")


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is copied.

    Attributes:
        name: in both databases.
        columns: in both databases, with the same names.
        flags: those of them that are numbers here and truth values there.
        binary: those of them that are text here and bytes there.
    """

    name: str
    columns: tuple[str, ...]
    flags: frozenset[str] = frozenset()
    binary: frozenset[str] = frozenset()


def _table(name: str, columns: str, flags: str = "", binary: str = "") -> Table:
    return Table(name, tuple(columns.split()), frozenset(flags.split()), frozenset(binary.split()))


TABLES = (
    _table("mailbox", "id name created_at last_seen_at description"),
    _table("alias", "name mailbox_id"),
    _table("deleted_mailbox", "name mailbox_id"),
    _table(
        "message",
        "id recipient_id sender_id recipient sender sent_at state attempts lease lease_until"
        " delivered_at delivered_by thread reply_to is_final urgency is_quiet visible_at expires_at"
        " answer_by outcome notice group_name copy_of",
        flags="is_final is_quiet",
    ),
    _table("body", "message_id text", binary="text"),
    _table(
        "idempotency_key",
        "sender key digest message_id recipient sent_at known last_seen_at watching pending"
        " forwarded_from",
        flags="known watching",
        binary="key",
    ),
    _table(
        "session",
        "id mailbox_id name has_bell seen_at ended_at state state_since turn transcript cwd project",
        flags="has_bell",
    ),
    _table("client", "key session_id"),
    _table("shown", "message_id nonce session_id kind turn shown_at transcript inode size"),
    _table("membership", "group_name mailbox_id joined_at"),
    _table("exchange", "sender_id recipient_id message_id sent_at"),
    _table("token", "id digest patterns created_at expires_at last_used_at"),
)


def migrate(path: str, url: str) -> dict[str, int]:
    """Copy the database at *path*, which no daemon uses; return how many rows of what.

    Raises:
        StartupError: if a daemon runs, one of the databases cannot be used, or the target has
            other mail. Then nothing was changed.
    """
    home = HomeLock(paths.lock_path())
    try:
        lock = DatabaseLock(examine(path))
        try:
            source = open_database(path)
            try:
                return _copy_all(source, url)
            finally:
                close_database(source)
        finally:
            lock.close()
    finally:
        home.close()


def _copy_all(source: apsw.Connection, url: str) -> dict[str, int]:
    target = open_postgres(url)
    try:
        with target.transaction():
            _check_target(source, target, url)
            names = ", ".join(table.name for table in TABLES)
            target.execute(f"TRUNCATE {names}, unindexed, {', '.join(_DERIVED)} RESTART IDENTITY")
            counts = {table.name: _copy(source, target, table) for table in TABLES}
            _complete(target)
            for table in TABLES:
                _compare(source, target, table)
        return counts
    except psycopg.Error as error:
        raise StartupError(
            f"Could not write to {shown(url)} ({error}): nothing was changed there."
        ) from None
    finally:
        target.close()


def _check_target(source: apsw.Connection, target: Connection, url: str) -> None:
    """Raise StartupError if the target is in use, or has mail that the source has not."""
    target.execute("LOCK TABLE daemon, mailbox, message IN ACCESS EXCLUSIVE MODE")
    daemons = target.execute("SELECT name FROM daemon ORDER BY name").fetchall()
    if daemons:
        names = ", ".join(name for (name,) in daemons)
        raise StartupError(
            f"Daemons use {shown(url)} ({names}): stop them first, and wait for 15 seconds if one"
            " was killed."
        )
    rows = target.execute(
        "SELECT id, sender_id, recipient_id, sent_at, sha256(text) FROM message"
        " JOIN body ON message_id = id ORDER BY id"
    )
    for number, *facts, digest in rows:
        found: Any = source.execute(
            "SELECT sender_id, recipient_id, sent_at, text FROM message"
            " JOIN body ON message_id = id WHERE id = ?",
            (number,),
        ).get
        if (
            found is None
            or list(found[:3]) != facts
            or sha256(found[3].encode()).digest() != digest
        ):
            raise StartupError(
                f"{shown(url)} has mail of its own (message {number}): nothing was changed. Choose"
                " an empty database."
            )


def _copy(source: apsw.Connection, target: Connection, table: Table) -> int:
    columns = list(table.columns)
    extra: list[str] = []
    if table.name in _ONLY_LOCAL:
        extra = [daemon_id()]
        columns.append("daemon_id")
    count = 0
    with (
        target.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in _rows(source, table):
            copy.write_row([*row, *extra])
            count += 1
    return count


def _rows(source: apsw.Connection, table: Table) -> Iterator[list[Any]]:
    """Yield the rows of a table as PostgreSQL has them."""
    convert: list[Callable[[Any], Any] | None] = [
        bool if column in table.flags else str.encode if column in table.binary else None
        for column in table.columns
    ]
    for row in source.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}"):
        yield [
            value if function is None or value is None else function(value)
            for value, function in zip(row, convert, strict=True)
        ]


def _complete(target: Connection) -> None:
    """Add what PostgreSQL has besides."""
    target.execute("INSERT INTO unindexed SELECT id FROM message")
    target.execute(
        "UPDATE message SET holder = %s WHERE state = 1 AND lease_until IS NULL", (daemon_id(),)
    )
    for table in ("mailbox", "message"):
        # A number that was given out never comes back, that of a deleted mailbox neither.
        target.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), greatest(1, "
            f"(SELECT max(id) FROM {table}), (SELECT max(mailbox_id) FROM deleted_mailbox)))",
            (f"claude_mailbox.{table}",),
        )


def _compare(source: apsw.Connection, target: Connection, table: Table) -> None:
    """Raise StartupError if a table is not the same in both databases."""
    copied = target.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}")
    there, here = _digest(map(list, copied)), _digest(_rows(source, table))
    if there != here:
        raise StartupError(
            f"The copy of {table.name} is not the same as its source ({there[0]} and {here[0]} rows):"
            " nothing was changed. Try again, and report it if that happens again."
        )


def _digest(rows: Iterator[list[Any]]) -> tuple[int, bytes]:
    """Return a count and a hash, whatever the order of the rows."""
    count, total = 0, 0
    for row in rows:
        count += 1
        total += int.from_bytes(sha256(repr(row).encode()).digest())
    return count, (total % 2**256).to_bytes(32)
