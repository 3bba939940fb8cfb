"""Space that nothing uses any more goes back to the disk in small steps, while mail goes on."""

import shutil
import time
from pathlib import Path

import apsw
import httpx
import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite import space
from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.model.drafts import Draft
from support.commandline import until
from support.daemon import DaemonProcess

INCREMENTAL = 2
DAY = 24 * 3600 * 1000
MEGABYTE = 1024 * 1024


def fill(transaction: Transaction, megabytes: int, at: int) -> None:
    """Store delivered messages of a hundred kilobytes."""
    for _ in range(10 * megabytes):
        transaction.mail.send(Draft("a", "b", "x" * 100_000), at)
        claim = transaction.leases.claim("b", at, limit=9, max_bytes=MEGABYTE)
        transaction.leases.settle([delivery.lease for delivery in claim.deliveries], at)
    while transaction.history.index():
        pass


def forget_all(transaction: Transaction) -> None:
    """Delete the texts."""
    position: int | None = 0
    while position is not None:
        position = transaction.history.forget_texts(position, DAY)


@pytest.fixture
def connection(scratch: Path) -> apsw.Connection:
    """A new database."""
    return open_database(str(scratch / "mailbox.db"))


def test_steps_are_small_and_leave_some_space_for_later(connection: apsw.Connection) -> None:
    """In the end the file is as much smaller, and sound."""
    transaction = create_transaction(connection)
    fill(transaction, 10, at=1)
    forget_all(transaction)
    before = int(str(connection.pragma("page_count")))
    steps = 1
    while transaction.space.vacuum():
        steps += 1
    after = int(str(connection.pragma("page_count")))
    assert (before - after) / steps <= 64
    assert after < before / 3
    assert int(str(connection.pragma("freelist_count"))) >= 256
    assert not transaction.space.vacuum()
    assert connection.pragma("integrity_check") == "ok"
    close_database(connection)


def test_a_database_that_is_in_use_keeps_its_space(connection: apsw.Connection) -> None:
    transaction = create_transaction(connection)
    fill(transaction, 2, at=1)
    size = connection.pragma("page_count")
    assert not transaction.space.vacuum()
    assert connection.pragma("page_count") == size
    connection.close()


@pytest.mark.parametrize(("limit", "mode"), [(space.REWRITTEN_BYTES, INCREMENTAL), (4096, 0)])
def test_an_old_database_is_rewritten_once_if_it_is_not_large(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, limit: int, mode: int
) -> None:
    """A large one stays as it is, and works."""
    monkeypatch.setattr(space, "REWRITTEN_BYTES", limit)
    path = scratch / "old.db"
    shutil.copyfile(Path(__file__).with_name("schema-4.db"), path)
    connection = open_database(str(path))
    assert connection.pragma("auto_vacuum") == mode
    transaction = create_transaction(connection)
    fill(transaction, 5, at=1)
    forget_all(transaction)
    assert transaction.space.vacuum() is (mode == INCREMENTAL)
    connection.close()


def test_the_daemon_gives_space_back_while_mail_goes_on() -> None:
    """After the days of the configuration; nobody waits for it."""
    daemon = DaemonProcess({"keepDays": 1})
    connection = open_database(str(daemon.database))
    connection.pragma("synchronous", "off")
    fill(create_transaction(connection), 40, at=time.time_ns() // 1_000_000 - 3 * DAY)
    close_database(connection)
    assert daemon.database.stat().st_size > 35 * MEGABYTE
    with daemon, httpx.Client(base_url=daemon.url, headers={"X-Mailbox": "c"}) as client:

        def has_shrunk() -> bool:
            content = {"to": "d", "body": "meanwhile"}
            client.post("/v1/send", json=content, timeout=5).raise_for_status()
            return daemon.database.stat().st_size < 10 * MEGABYTE

        until(has_shrunk, "the space")
        taken = client.post("/v1/check-inbox?name=d", headers={"X-Mailbox": "d"}).json()
        assert {message["body"] for message in taken} == {"meanwhile"}
