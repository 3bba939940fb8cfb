"""Mail that is carried over from SQLite."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox import paths
from claude_mailbox.daemon.migration import migrate
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.database import open_database as open_postgres
from claude_mailbox.daemon.store.postgres.transaction import create_transaction as on_postgres
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import StartupError
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery
from claude_mailbox.model.sessions import Start
from support.postgres import PostgresServer

NOW = 1_700_000_000_000


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with some of everything."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    connection = open_database(paths.database_path())
    transaction = create_transaction(connection)
    for number in range(3):
        transaction.mail.send(Draft("ann", "bob", f"{number} \0 zwölf", key=f"k{number}"), NOW)
    claim = transaction.leases.claim("bob", NOW, limit=2, max_bytes=1000)
    transaction.leases.settle([claim.deliveries[0].lease], NOW)
    transaction.mailboxes.rename("ann", "anna", NOW)
    transaction.mail.send(Draft("bob", "anna", "a question", ask=60), NOW)
    session = Start("11111111", "shop-1", "12-3", True, False)
    transaction.sessions.start(session, NOW, is_alive=lambda key: True)
    transaction.mail.send(Draft("x", "y", "of one that is gone"), NOW)
    gone = transaction.leases.claim("y", NOW, limit=1, max_bytes=1000)
    transaction.leases.settle([gone.deliveries[0].lease], NOW)
    assert transaction.mailboxes.delete("y")
    close_database(connection)
    return paths.database_path()


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[str]:
    """An empty database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


def test_everything_is_copied_and_works(source: str, target: str) -> None:
    counts = migrate(source, target)
    assert (counts["message"], counts["mailbox"], counts["session"]) == (5, 4, 1)
    connection = open_postgres(target)
    transaction = on_postgres(StoreConnection(connection), daemon_id="other")
    assert transaction.mailboxes.present_name("ann") == "anna"
    assert transaction.mail.peek("bob").pending == 1
    assert transaction.mail.send(Draft("ann", "bob", "2 \0 zwölf", key="k2"), NOW).duplicate
    assert transaction.mail.send(Draft("bob", "y", "more"), NOW).id == 6
    assert [each.asked for each in transaction.conversation.open_questions()] == ["anna"]
    while transaction.history.index():
        pass
    page = transaction.history.history("bob", HistoryQuery(words="zwolf"))
    assert [entry.body for entry in page.entries] == [f"{number} \0 zwölf" for number in (2, 1, 0)]
    assert [entry.status.state for entry in page.entries] == ["waiting", "leased", "delivered"]
    connection.close()


def test_it_can_be_repeated(source: str, target: str) -> None:
    """Whatever was added to the source meanwhile."""
    first = migrate(source, target)
    connection = open_database(source)
    create_transaction(connection).mail.send(Draft("ann", "bob", "one more"), NOW)
    close_database(connection)
    second = migrate(source, target)
    assert second["message"] == first["message"] + 1


def test_mail_of_its_own_is_left_alone(source: str, target: str) -> None:
    connection = open_postgres(target)
    on_postgres(StoreConnection(connection), daemon_id="other").mail.send(
        Draft("a", "b", "mine"), NOW
    )
    with pytest.raises(StartupError, match="has mail of its own"):
        migrate(source, target)
    assert connection.execute("SELECT count(*) FROM message").fetchone() == (1,)
    connection.close()


def test_a_target_that_a_daemon_uses_is_left_alone(source: str, target: str) -> None:
    connection = open_postgres(target)
    connection.execute("INSERT INTO daemon VALUES ('x', 'host (1)', '1', 0, 0)")
    with pytest.raises(StartupError, match=r"Daemons use .*host \(1\)"):
        migrate(source, target)
    connection.close()


def test_a_source_that_a_daemon_uses_is_left_alone(source: str, target: str) -> None:
    from claude_mailbox.daemon.process.lock import HomeLock

    lock = HomeLock(os.path.join(os.environ["CLAUDE_MAILBOX_HOME"], "mailbox.lock"))
    with pytest.raises(StartupError):
        migrate(source, target)
    lock.close()
