"""The one connection: on which thread its functions run, and how its journal stays small."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from claude_mailbox.daemon.store.sqlite import engine as database
from claude_mailbox.daemon.store.sqlite.engine import Database


@pytest.fixture
async def opened(scratch: Path) -> AsyncIterator[Database]:
    """A database in a file."""
    opened = await Database.open(str(scratch / "mailbox.db"))
    yield opened
    await opened.close()


def thread(connection: apsw.Connection) -> int:
    """Return the number of the thread that runs this."""
    return threading.get_ident()


def fill(connection: apsw.Connection) -> None:
    """Put about a hundred pages into the journal."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE IF NOT EXISTS filler (bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(400000))")
    connection.execute("COMMIT")


async def test_runs_in_place_or_on_its_thread(opened: Database) -> None:
    """Always the same thread of its own; in place, that of the event loop."""
    here = threading.get_ident()
    assert await opened.run(thread, in_place=True) == here
    others = {await opened.run(thread) for _ in range(3)}
    assert len(others) == 1
    assert here not in others


async def test_what_a_function_raises_is_raised(opened: Database) -> None:
    """From either place."""

    def fail(connection: apsw.Connection) -> None:
        connection.execute("SELECT * FROM nowhere")

    for in_place in (True, False):
        with pytest.raises(apsw.SQLError, match="nowhere"):
            await opened.run(fail, in_place=in_place)


async def test_the_journal_stays_small(opened: Database, scratch: Path, monkeypatch) -> None:
    """However much is written: upkeep writes it back, and SQLite begins it anew."""
    monkeypatch.setattr(database, "_JOURNAL_PAGES", 300)
    journal = scratch / "mailbox.db-wal"
    for turn in range(30):
        await opened.run(fill, in_place=turn % 2 == 0)
        await opened.upkeep()
    assert journal.stat().st_size < 600 * 4096
    assert (scratch / "mailbox.db").stat().st_size > 25 * 400_000


async def test_nothing_is_written_back_within_a_commit(opened: Database, scratch: Path) -> None:
    """What SQLite would do by itself after 1,000 pages is left to upkeep."""
    before = (scratch / "mailbox.db").stat().st_size
    for _ in range(15):
        await opened.run(fill)
    assert (scratch / "mailbox.db").stat().st_size == before
    assert (scratch / "mailbox.db-wal").stat().st_size > 15 * 400_000


async def test_a_failure_to_write_back_is_survived_and_tried_again_later(
    opened: Database, scratch: Path, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once for each time that the journal has grown so much more."""
    monkeypatch.setattr(database, "_JOURNAL_PAGES", 300)
    with monkeypatch.context() as broken:

        def fail(self: Database, function: object) -> None:
            raise apsw.IOError("no")

        broken.setattr(Database, "run", fail)
        for _ in range(7):
            fill(opened._connection)
            await opened.upkeep()
    assert caplog.text.count("could not write the journal back") == 2
    for _ in range(3):
        await opened.run(fill)
        await opened.upkeep()
    assert (scratch / "mailbox.db").stat().st_size > 9 * 400_000
