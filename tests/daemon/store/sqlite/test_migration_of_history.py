"""A database of the schema with history, before there were conversations, goes on with all it has.

``schema-4.db`` was made by that version's own functions: mail in every state, indexed but for the
last message, a keyed send and a session.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery

WRITTEN_AT = 1_700_000_000_000
NOW = WRITTEN_AT + 60_000
SESSION = "11111111-aaaa-4000-8000-000000000001"


@pytest.fixture
def connection(scratch: Path) -> Iterator[apsw.Connection]:
    """A copy of the old database, opened by this version."""
    path = scratch / "mailbox.db"
    shutil.copyfile(Path(__file__).with_name("schema-4.db"), path)
    connection = open_database(str(path))
    yield connection
    connection.close()


@pytest.fixture
def transaction(connection: apsw.Connection) -> Transaction:
    """The operations on it."""
    return create_transaction(connection)


def test_it_becomes_the_newest_schema(connection: apsw.Connection) -> None:
    """The same as that of a new database, and sound."""
    assert connection.pragma("integrity_check") == "ok"
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    new = open_database(f"{connection.filename}-new")
    assert connection.execute(schema).fetchall() == new.execute(schema).fetchall()
    new.close()


def test_mail_goes_on_in_order_and_urgent_mail_before_it(transaction: Transaction) -> None:
    """What was leased comes back to its place; nothing has a thread or an outcome."""
    transaction.leases.release(transaction.leases.bound_tokens())
    assert transaction.leases.expire(WRITTEN_AT + 65_000) == ["bob"]
    transaction.mail.send(Draft("ann", "bob", "urgent", urgency="high"), NOW)
    claim = transaction.leases.claim("bob", NOW, limit=9, max_bytes=10**6)
    assert [each.body for each in claim.deliveries] == [
        "urgent",
        "leased",
        "bound",
        "waiting",
        "waiting too",
    ]
    assert [each.envelope is None for each in claim.deliveries] == [False, True, True, True, True]
    assert claim.remaining == 0


def test_counts_keys_sessions_and_the_index_go_on(transaction: Transaction) -> None:
    assert transaction.mail.peek("bob").pending == 2
    assert transaction.mail.send(Draft("ann", "bob", "waiting", "k2"), NOW).duplicate
    assert transaction.sessions.mailbox_of(SESSION) == "ann"
    while transaction.history.index():
        pass
    page = transaction.history.history("bob", HistoryQuery(words="waiting"))
    assert [entry.body for entry in page.entries] == ["waiting too", "waiting"]
    in_all_mail = transaction.overview.search(HistoryQuery(words="waiting"), excerpt=99)
    assert [entry.body for entry in in_all_mail.entries] == ["waiting too", "waiting"]


def test_old_mail_can_be_replied_to(transaction: Transaction) -> None:
    original = transaction.conversation.original(1, "bob")
    assert original is not None
    assert (original.thread, original.other) == (1, "ann")
    reply = Draft("bob", "ann", "reply", reply_to=1)
    number = transaction.mail.send(reply, NOW, thread=1).id
    status = transaction.history.status(1, "ann")
    assert status is not None
    assert status.replied_by == number
