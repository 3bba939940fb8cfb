"""Large mailboxes, made by the product's own functions in the database of a stopped daemon."""

import time
from collections.abc import Callable

import apsw
import psycopg

from bench.context import BODY
from bench.daemon import Home
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.transaction import (
    create_transaction as create_postgres_transaction,
)
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.model.drafts import URGENCIES, Draft

_CHUNK = 5_000
_NO_LIMIT = 10**9
_DAY = 24 * 3600.0


def plain_draft(mailbox: str, _number: int) -> Draft:
    """Return a message that says nothing but its text."""
    return Draft("sender", mailbox, BODY)


def mixed_draft(mailbox: str, number: int) -> Draft:
    """Return the message of that number in a mailbox of mixed mail.

    A third is urgent, a third not at all; every tenth may be returned, and every other tenth comes
    in a day.
    """
    return Draft(
        "sender",
        mailbox,
        BODY,
        urgency=URGENCIES[number % len(URGENCIES)],
        ttl=30 * _DAY if number % 10 == 0 else None,
        delay=_DAY if number % 10 == 5 else None,
    )


def fill_stopped(
    home: Home,
    mailbox: str,
    count: int,
    draft: Callable[[str, int], Draft] = plain_draft,
) -> None:
    """Send *count* messages to *mailbox*."""
    connection = _open(home)
    mail = create_transaction(connection).mail
    try:
        for start in range(0, count, _CHUNK):
            now = _now()
            with connection:
                for number in range(start, min(start + _CHUNK, count)):
                    mail.send(draft(mailbox, number), now, max_pending=_NO_LIMIT)
    finally:
        close_database(connection)


def fill_postgres(url: str, mailbox: str, count: int) -> None:
    """Put *count* messages into *mailbox*, past the daemons, and bring the statistics up to date."""
    with psycopg.connect(
        url, autocommit=True, options="-c search_path=claude_mailbox"
    ) as connection:
        transaction = create_postgres_transaction(StoreConnection(connection), daemon_id="bench")
        for name in ("sender", mailbox):
            transaction.mailboxes.register(name, _now())
        # One row counts what waits: many changes of a row in one transaction are slow.
        for start in range(0, count, _CHUNK):
            connection.execute(
                "WITH message AS (INSERT INTO message"
                " (recipient_id, sender_id, recipient, sender, sent_at)"
                " SELECT mailbox.id, sender.id, mailbox.name, sender.name, %s"
                " FROM mailbox, mailbox AS sender, generate_series(1, %s)"
                " WHERE mailbox.name = %s AND sender.name = 'sender' RETURNING id)"
                " INSERT INTO body (message_id, text) SELECT id, %s FROM message",
                (_now(), min(_CHUNK, count - start), mailbox, BODY.encode()),
            )
        connection.execute("VACUUM ANALYZE message, body, backlog")


def deliver_stopped(home: Home, mailbox: str) -> None:
    """Take everything out of *mailbox* and confirm it."""
    connection = _open(home)
    leases = create_transaction(connection).leases
    try:
        while True:
            with connection:
                claim = leases.claim(mailbox, _now(), limit=_CHUNK, max_bytes=_NO_LIMIT)
                leases.settle([delivery.lease for delivery in claim.deliveries], _now())
            if not claim.deliveries:
                return
    finally:
        close_database(connection)


def index_stopped(home: Home) -> None:
    """Index all messages for the search."""
    connection = _open(home)
    history = create_transaction(connection).history
    remain = True
    try:
        while remain:
            with connection:
                remain = history.index()
    finally:
        connection.close()


def _open(home: Home) -> apsw.Connection:
    connection = open_database(home.database)
    connection.pragma("synchronous", "off")
    return connection


def _now() -> int:
    return time.time_ns() // 1_000_000
