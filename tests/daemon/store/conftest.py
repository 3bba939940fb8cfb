"""Fixtures of the store's tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trio

from claude_mailbox.daemon.store.operations import Transaction
from daemon.store.harness import Harness, ObservedEngine
from daemon.store.sqlite.disk import Disk, watched_disk
from support.stores import Store, create_sqlite


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk below the ledger's database."""
    with watched_disk() as disk:
        yield disk


@pytest.fixture
def transaction(open_store: Callable[..., Store]) -> Transaction:
    """The operations of an empty database of either engine, each of which commits by itself."""
    return open_store().transaction


@pytest.fixture
async def harness(scratch: Path, disk: Disk, nursery: trio.Nursery) -> AsyncIterator[Harness]:
    """A ledger on a database in a file."""
    connection = create_sqlite(scratch / "mailbox.db")
    harness = Harness(ObservedEngine(connection))
    await nursery.start(harness.ledger.serve)
    yield harness
    harness.ledger.close()
    with trio.CancelScope(shield=True):
        await harness.ledger.drained.wait()
    connection.close()
