"""A database that was written by the first schema goes on with all that it has.

``schema-1.db`` was made by the first version's own functions: mail in every state, keyed sends,
a renamed mailbox, a session that runs and one that has ended.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite import schema
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.schema import MIGRATIONS
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import StartupError
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery
from claude_mailbox.model.mail import KEY_MILLISECONDS, Backlog
from claude_mailbox.model.sessions import Start
from claude_mailbox.refusals import KeyReused
from daemon.store.sqlite.disk import watched_disk

WRITTEN_AT = 1_700_000_000_000
NOW = WRITTEN_AT + 60_000
SESSION = "11111111-aaaa-4000-8000-000000000001"
ENDED_SESSION = "22222222-bbbb-4000-8000-000000000002"


@pytest.fixture
def old(scratch: Path) -> Path:
    """A copy of the old database."""
    path = scratch / "mailbox.db"
    shutil.copyfile(Path(__file__).with_name("schema-1.db"), path)
    return path


@pytest.fixture
def connection(old: Path) -> Iterator[apsw.Connection]:
    """The old database, opened by this version."""
    connection = open_database(str(old))
    yield connection
    connection.close()


@pytest.fixture
def transaction(connection: apsw.Connection) -> Transaction:
    """The operations on it."""
    return create_transaction(connection)


def test_it_becomes_the_newest_schema(connection: apsw.Connection) -> None:
    """The same as that of a new database, and sound."""
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert connection.pragma("integrity_check") == "ok"
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    new = open_database(f"{connection.filename}-new")
    assert connection.execute(schema).fetchall() == new.execute(schema).fetchall()
    new.close()


def test_mail_is_kept_in_its_state(connection: apsw.Connection, transaction: Transaction) -> None:
    """Delivered, waiting, leased with an end, and bound to a connection."""
    states = connection.execute(
        "SELECT text, state, lease_until FROM message JOIN body ON message_id = id ORDER BY id"
    ).fetchall()
    assert states == [
        ("delivered", 2, None),
        ("waiting", 0, None),
        ("leased 😀", 1, WRITTEN_AT + 65_000),
        ("bound", 1, None),
        ("after the rename", 0, None),
        ("forwarded", 0, None),
    ]
    assert transaction.mail.peek("ann") == Backlog(2, WRITTEN_AT + 1000)
    assert transaction.leases.expire(WRITTEN_AT + 65_000) == ["bob"]
    claim = transaction.leases.claim("bob", NOW, limit=9, max_bytes=10**6)
    assert [each.body for each in claim.deliveries] == ["leased 😀", "forwarded"]


def test_names_and_sessions_are_kept(transaction: Transaction) -> None:
    assert transaction.mailboxes.present_name("robert") == "bob"
    assert transaction.sessions.mailbox_of(SESSION) == "shop-11111111"
    assert transaction.sessions.session_of("7-1") == SESSION
    assert transaction.sessions.with_bell() == {SESSION}
    assert transaction.sessions.mailbox_of(ENDED_SESSION) is None


@pytest.mark.parametrize(
    ("sender", "to", "body", "key", "number"),
    [
        ("ann", "robert", "delivered", "k1", 1),
        ("robert", "ann", "waiting", "k2", 2),
        ("bob", "ann", "waiting", "k2", 2),
        ("ann", "bob", "bound", "k3", 4),
        ("bob", "ann", "after the rename", "k4", 5),
        ("ann", "robert", "forwarded", "k5", 6),
        ("ann", "bob", "forwarded", "k5", 6),
    ],
)
def test_keys_are_kept(
    transaction: Transaction, sender: str, to: str, body: str, key: str, number: int
) -> None:
    """A retry finds its receipt, by any name of its sender and receiver; another text does not."""
    with pytest.raises(KeyReused):
        transaction.mail.send(Draft(sender, to, "another text", key), NOW)
    receipt = transaction.mail.send(Draft(sender, to, body, key), NOW)
    assert (receipt.id, receipt.duplicate) == (number, True)


def test_keys_keep_their_age(transaction: Transaction) -> None:
    later = WRITTEN_AT + KEY_MILLISECONDS
    assert not transaction.mail.send(Draft("ann", "robert", "delivered", "k1"), later).duplicate
    assert transaction.mail.send(Draft("ann", "robert", "bound", "k3"), later).duplicate


@pytest.fixture
def oddly_spelt(old: Path) -> Iterator[Transaction]:
    """The old database with names that are in no normal form, opened by this version."""
    database = sqlite3.connect(old)
    with database:
        database.execute("UPDATE mailbox SET name = 'caf\u00e9 e\u0301' WHERE name = 'ann'")
        database.execute("UPDATE alias SET name = 'u\u0308 \u00e9' WHERE name = 'robert'")
        database.execute("UPDATE session SET name = 'o\u0308' WHERE id = ?", [ENDED_SESSION])
        add = "INSERT INTO mailbox (name, created_at) VALUES (?, 1)"
        database.executemany(add, [["x\u00e9"], ["xe\u0301"]])
    database.close()
    connection = open_database(str(old))
    yield create_transaction(connection)
    connection.close()


def test_names_get_their_normal_form(oddly_spelt: Transaction) -> None:
    """Under which alone anybody asks for them, whatever the old one was."""
    assert oddly_spelt.mail.peek("caf\u00e9 \u00e9").pending == 2
    assert oddly_spelt.mailboxes.present_name("\u00fc \u00e9") == "bob"
    start = Start(ENDED_SESSION, "shop", None, has_bell=False, takes_over=False)
    started = oddly_spelt.sessions.start(start, NOW, is_alive=lambda key: False)
    assert started.mailbox == "\u00f6"


def test_names_that_differ_in_their_form_alone_are_told_apart(oddly_spelt: Transaction) -> None:
    """Both mailboxes can be reached."""
    names = [each.name for each in oddly_spelt.mailboxes.listings(None, 0)]
    (other,) = [name for name in names if re.fullmatch("x\u00e9-[0-9]+", name)]
    assert oddly_spelt.mailboxes.present_name(other) == other
    assert oddly_spelt.mailboxes.present_name("x\u00e9") == "x\u00e9"


def test_keys_of_such_senders_are_kept(oddly_spelt: Transaction) -> None:
    draft = Draft("\u00fc \u00e9", "caf\u00e9 \u00e9", "waiting", "k2")
    receipt = oddly_spelt.mail.send(draft, NOW)
    assert (receipt.id, receipt.duplicate) == (2, True)


def test_mail_has_its_history_and_is_found(transaction: Transaction) -> None:
    """By whatever name, once it is indexed."""
    while transaction.history.index():
        pass
    page = transaction.history.history("robert", HistoryQuery(words="rename"))
    assert [entry.body for entry in page.entries] == ["after the rename"]
    bodies = [entry.body for entry in transaction.history.history("ann", HistoryQuery()).entries]
    assert bodies[-2:] == ["waiting", "delivered"]
    status = transaction.history.status(1, "bob")
    assert status is not None
    assert (status.sender, status.recipient, status.state) == ("ann", "bob", "delivered")
    assert status.by is None


def test_damaged_text_does_not_stop_the_migration(old: Path) -> None:
    """Bytes of a message that are no text any more."""
    old.write_bytes(old.read_bytes().replace(b"after the rename", b"after \xff\xff\xff rename"))
    connection = open_database(str(old))
    transaction = create_transaction(connection)
    assert transaction.mail.peek("ann").pending == 2
    assert not transaction.history.index()
    connection.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(old: Path) -> None:
    """And is done when there is room again."""
    before = old.read_bytes()
    with watched_disk() as disk:
        disk.failure = apsw.FullError
        with pytest.raises(StartupError, match="has free space"):
            open_database(str(old))
    assert old.read_bytes() == before
    connection = open_database(str(old))
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert create_transaction(connection).mail.peek("ann").pending == 2
    connection.close()


def test_the_last_step_that_fails_undoes_the_first(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the version that wrote the database can go on with it."""
    failing = tmp_path / "failing.sql"
    failing.write_text("INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(schema, "MIGRATIONS", [*MIGRATIONS, str(failing)])
    with pytest.raises(StartupError):
        open_database(str(old))
    with sqlite3.connect(old) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
