"""SQLite as an engine: on which thread its calls run, and how its journal stays small."""

import os
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from claude_mailbox.daemon.store.sqlite import engine as sqlite_engine
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.errors import DiskFailed, StartupError
from daemon.store.sqlite.disk import watched_disk


@pytest.fixture
async def engine(scratch: Path) -> AsyncIterator[SqliteEngine]:
    """A database in a file."""
    engine = await SqliteEngine.open(str(scratch / "mailbox.db"))
    yield engine
    await engine.close()


def fill(connection: apsw.Connection) -> None:
    """Put about a hundred pages into the journal."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE IF NOT EXISTS filler (bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(400000))")
    connection.execute("COMMIT")


async def test_calls_run_on_a_thread_of_their_own(engine: SqliteEngine) -> None:
    threads = {await engine.on_thread(threading.get_ident) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_what_a_call_raises_is_raised(engine: SqliteEngine) -> None:
    with pytest.raises(apsw.SQLError, match="nowhere"):
        await engine.on_thread(lambda: engine.connection.execute("SELECT * FROM nowhere"))


async def test_the_journal_stays_small(engine: SqliteEngine, scratch: Path, monkeypatch) -> None:
    """However much is written: upkeep writes it back, and SQLite begins it anew."""
    monkeypatch.setattr(sqlite_engine, "_JOURNAL_PAGES", 300)
    journal = scratch / "mailbox.db-wal"
    for turn in range(30):
        if turn % 2:
            fill(engine.connection)
        else:
            await engine.on_thread(partial(fill, engine.connection))
        await engine.upkeep()
    assert journal.stat().st_size < 600 * 4096
    assert (scratch / "mailbox.db").stat().st_size > 25 * 400_000


async def test_the_journal_is_not_written_back_within_a_commit(
    engine: SqliteEngine, scratch: Path
) -> None:
    """What SQLite would do by itself after 1,000 pages is left to upkeep."""
    before = (scratch / "mailbox.db").stat().st_size
    for _ in range(15):
        fill(engine.connection)
    assert (scratch / "mailbox.db").stat().st_size == before
    assert (scratch / "mailbox.db-wal").stat().st_size > 15 * 400_000


async def test_a_failure_to_write_back_is_logged_and_tried_again_later(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each time that the journal has grown so much more."""
    monkeypatch.setattr(sqlite_engine, "_JOURNAL_PAGES", 300)
    with watched_disk() as disk:
        engine = await SqliteEngine.open(str(scratch / "mailbox.db"))
        for failure in [apsw.IOError] * 7 + [None] * 3:
            fill(engine.connection)
            disk.failure = failure
            await engine.upkeep()
            disk.failure = None
        assert caplog.text.count("could not write the journal back") == 2
        assert (scratch / "mailbox.db").stat().st_size > 7 * 400_000
        await engine.close()


@pytest.mark.parametrize("file", ["-wal", "main"])
async def test_a_failed_flush_while_writing_back_ends_the_daemon(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """What the journal or the database lost then, a later flush would not bring to the disk."""
    monkeypatch.setattr(sqlite_engine, "_JOURNAL_PAGES", 10)
    with watched_disk() as disk:
        engine = await SqliteEngine.open(str(scratch / "mailbox.db"))
        fill(engine.connection)
        disk.unsyncable = {file}
        with pytest.raises(DiskFailed):
            await engine.upkeep()
        disk.unsyncable = set()
        await engine.close()
        assert (scratch / "mailbox.db-wal").stat().st_size > 400_000


async def test_a_second_daemon_on_a_database_is_refused(
    scratch: Path, engine: SqliteEngine
) -> None:
    """By whatever name; and when it is closed the next one may have it."""
    (scratch / "link.db").symlink_to(scratch / "mailbox.db")
    for name in ("mailbox.db", "link.db"):
        with pytest.raises(StartupError, match=rf"daemon \(pid {os.getpid()}\) uses the database"):
            await SqliteEngine.open(str(scratch / name))
    await engine.close()
    again = await SqliteEngine.open(str(scratch / "link.db"))
    await again.close()
