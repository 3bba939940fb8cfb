"""Opens the database: examines it, makes its journal safe, and migrates its schema. No trio.

The journal of a daemon that was killed is first written once more, and flushed. If a flush failed
before, Linux marks the pages as clean that never reached the disk: they can be read, but later flushes
skip them, and a power cut loses them and everything after them. Only writing them again brings them
to the disk.
"""

import apsw

from claude_mailbox.daemon.store.sqlite import space
from claude_mailbox.daemon.store.sqlite.files import (
    cannot_use,
    check_version,
    examine,
    opened,
    size_of,
    tighten,
)
from claude_mailbox.daemon.store.sqlite.schema import APPLICATION_ID, migrate
from claude_mailbox.errors import StartupError

# SQLite writes less than 128 KiB at a time.
_CHUNK_BYTES = 64 * 1024


def open_database(path: str) -> apsw.Connection:
    """Open, check and migrate the database. The caller holds its lock.

    Returns:
        A connection in WAL mode with ``synchronous=FULL`` and foreign keys on. Close it with
        `close_database`; its own ``close`` leaves the journal as it is.

    Raises:
        StartupError: if the file is not ours, is damaged, was written by a newer version, or
            cannot be written. The file is not changed.
    """
    path = examine(path)
    try:
        tighten(path)
        connection = apsw.Connection(path)
    except (apsw.Error, OSError, ValueError) as error:  # ValueError: not a file name
        raise StartupError(cannot_use(path, error)) from error
    try:
        # Otherwise closing writes the journal back, even after a failure.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        _prepare(connection, path)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        _close_unchanged(connection, f"{path}-wal")
        raise StartupError(
            f"The database {path} is damaged ({error}); nothing was overwritten. Restore it from a"
            " backup, or move it away to start with an empty one."
        ) from None
    except apsw.Error as error:
        _close_unchanged(connection, f"{path}-wal")
        raise StartupError(cannot_use(path, error)) from error
    except StartupError:
        _close_unchanged(connection, f"{path}-wal")
        raise
    return connection


def close_database(connection: apsw.Connection) -> None:
    """Write the journal back and close the connection; only the database's own file is left.

    Raises:
        apsw.Error: if it cannot be written back. The connection is closed, and the journal kept.
    """
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    finally:
        connection.close()


def _close_unchanged(connection: apsw.Connection, journal: str) -> None:
    if not size_of(journal):
        # SQLite made an empty one, and may delete it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    connection.close()


def _number(connection: apsw.Connection, pragma: str) -> int:
    return int(str(connection.pragma(pragma)))


def _prepare(connection: apsw.Connection, path: str) -> None:
    connection.set_busy_timeout(2000)  # later set for each transaction (see engine.py)
    # SQLite opens a file that it cannot write for reading.
    if connection.readonly("main"):
        raise apsw.ReadOnlyError("it cannot be written")
    version = _number(connection, "user_version")
    has_tables = bool(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())
    check_version(path, version)
    if version < 0 or (has_tables and not version):
        raise apsw.CorruptError(f"its schema number is {version}")
    size, page_size = size_of(path), _number(connection, "page_size")
    if size % page_size:
        # Either the journal was written back in part, and is still complete; or it is damaged.
        if not size_of(f"{path}-wal") and size < page_size * _number(connection, "page_count"):
            raise apsw.CorruptError("its end is missing")
        if connection.pragma("quick_check", 1) != "ok":
            raise apsw.CorruptError("SQLite's quick_check finds errors in it")
    _flush_journal(connection, f"{path}-wal")
    if not has_tables:
        space.prepare_new(connection)
    if connection.pragma("application_id") != APPLICATION_ID:
        # Before there is a journal, so that the id is in the file itself.
        connection.pragma("application_id", APPLICATION_ID)
    if connection.pragma("journal_mode", "wal") != "wal":
        raise StartupError(
            f"The database {path} is on a file system without shared memory files, which its"
            " journal needs: choose a local disk with --db-path."
        )
    connection.pragma("synchronous", "full")
    connection.pragma("foreign_keys", True)
    # The journal is written back between commits (see engine.py), and its file cut after a burst.
    connection.pragma("journal_size_limit", 64 * 1024 * 1024)
    migrate(connection, version)
    if has_tables:
        space.rewrite_old(connection)
    # Reads every table's root page, to fail here rather than on the first message.
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
    ).fetchall():
        connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchall()  # our names


def _flush_journal(connection: apsw.Connection, journal: str) -> None:
    """Write the journal over itself, and flush it."""
    if not size_of(journal):
        return
    connection.execute("BEGIN IMMEDIATE")  # keeps others from writing to it meanwhile
    with opened(journal, apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE) as file:
        size = file.xFileSize()
        for offset in range(0, size, _CHUNK_BYTES):
            file.xWrite(file.xRead(min(_CHUNK_BYTES, size - offset), offset), offset)
        file.xSync(apsw.SQLITE_SYNC_NORMAL)
    connection.execute("ROLLBACK")
