"""The limit on mailboxes: nothing makes another one, and those that are there go on working."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.sessions import Start

NOW = 1_700_000_000_000


@pytest.fixture
def full(scratch: Path) -> Iterator[Transaction]:
    """A store with as many mailboxes as it may have: 'a', and 'b', which was 'old'."""
    connection = open_database(str(scratch / "mailbox.db"))
    transaction = create_transaction(connection, max_mailboxes=2)
    transaction.mailboxes.register("a", NOW)
    transaction.mailboxes.register("old", NOW)
    transaction.mailboxes.rename("old", "b", NOW)
    yield transaction
    connection.close()


def start(transaction: Transaction, session_id: str, name: str) -> str:
    """Start a session; return its mailbox."""
    session = Start(session_id, name, None, False, False)
    return transaction.sessions.start(session, NOW, is_alive=lambda key: False).mailbox


@pytest.mark.parametrize(
    "make",
    [
        lambda transaction: transaction.mailboxes.register("new", NOW),
        lambda transaction: transaction.mail.send(Draft("a", "new", "hello"), NOW),
        lambda transaction: transaction.mail.send(Draft("new", "a", "hello"), NOW),
        lambda transaction: transaction.leases.claim("new", NOW, limit=1, max_bytes=1),
        lambda transaction: start(transaction, "1", "new"),
    ],
    ids=["register", "send to", "send from", "claim", "session"],
)
def test_nothing_makes_another_mailbox(
    full: Transaction, make: Callable[[Transaction], object]
) -> None:
    sentence = (
        r"^There are 2 mailboxes already \(the limit is 2, maxMailboxes\): use one of them, delete one"
        r" that nobody needs, or raise the limit\. Nothing was stored\.$"
    )
    with pytest.raises(QuotaFull, match=sentence):
        make(full)


def test_mailboxes_that_are_there_go_on_working(full: Transaction) -> None:
    """Under present and former names."""
    assert full.mail.send(Draft("a", "old", "hello"), NOW).recipient == "b"
    assert full.mailboxes.register("old", NOW) == "b"
    assert start(full, "1", "b") == "b"
    assert full.mailboxes.rename("b", "c", NOW).new == "c"
    claim = full.leases.claim("c", NOW, limit=1, max_bytes=10)
    assert full.leases.settle([each.lease for each in claim.deliveries], NOW).done


def test_a_deletion_makes_room(full: Transaction) -> None:
    assert full.mailboxes.delete("a")
    assert full.mail.send(Draft("b", "new", "hello"), NOW).recipient == "new"
    with pytest.raises(QuotaFull):
        full.mailboxes.register("a", NOW)
