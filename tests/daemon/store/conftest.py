"""Fixtures of the store's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from daemon.store.harness import Harness, ObservedEngine
from daemon.store.sqlite.disk import Disk, watched_disk


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk below the ledger's database."""
    with watched_disk() as disk:
        yield disk


@pytest.fixture
def transaction(scratch: Path) -> Iterator[Transaction]:
    """The operations of an empty database, each of which commits by itself."""
    connection = open_database(str(scratch / "mailbox.db"))
    yield create_transaction(connection)
    connection.close()


@pytest.fixture
async def harness(scratch: Path, disk: Disk, nursery: trio.Nursery) -> AsyncIterator[Harness]:
    """A ledger on a database in a file."""
    connection = open_database(str(scratch / "mailbox.db"))
    harness = Harness(ObservedEngine(connection))
    await nursery.start(harness.ledger.serve)
    yield harness
    harness.ledger.close()
    with trio.CancelScope(shield=True):
        await harness.ledger.drained.wait()
    connection.close()
