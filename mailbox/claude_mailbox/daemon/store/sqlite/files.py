"""The database's files: checks that they are ours, before SQLite opens them.

SQLite would write another program's journal back into its database, and delete a journal whose
database is empty. So the headers are read here, which changes nothing.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

import apsw

from claude_mailbox.daemon.store.sqlite.schema import APPLICATION_ID, MIGRATIONS
from claude_mailbox.errors import StartupError

# Files beside the database: its journals, their shared memory, and our lock.
_BESIDE = ("-wal", "-shm", "-journal", "-lock")

# SQLite's file formats: https://www.sqlite.org/fileformat2.html
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 108
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24


def examine(path: str) -> str:
    """Check that there is a database of ours at *path*, or none; change nothing.

    Returns:
        The path with all links resolved, beside which SQLite puts the journal.

    Raises:
        StartupError: if there is another file, or a database that must not be used.
    """
    if path in {"", ":memory:"}:
        raise StartupError(
            "A database in memory would keep no mail: choose a local disk with --db-path."
        )
    try:
        path = os.path.realpath(path)
        _check_owner(path)
        _check_names(path)
        header = _header_of(path)
    except (apsw.Error, OSError, ValueError) as error:  # ValueError: not a file name
        raise StartupError(cannot_use(path, error)) from None
    if not header:
        if size_of(f"{path}-wal"):
            raise StartupError(
                f"The database {path} is {'empty' if os.path.exists(path) else 'missing'}, but its"
                f" journal {path}-wal is there and may hold all mail; nothing was changed. Restore"
                " the database from a backup, or move the journal away to start with an empty one."
            )
        return path
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartupError(
            f"{path} is not a SQLite database; nothing was changed. Move it away, or choose"
            " another file with --db-path."
        )
    # If the program was killed just after making the database, the id is only in the journal.
    if not _application_id(header) and not _has_tables(header):
        header = _header_in_journal(f"{path}-wal") or header
    if _application_id(header) != APPLICATION_ID and (
        _application_id(header) or _has_tables(header)
    ):
        raise StartupError(
            f"{path} is a database of another program; nothing was changed. Choose another file"
            " with --db-path."
        )
    check_version(path, int.from_bytes(header[60:64], signed=True))
    return path


def check_version(path: str, version: int) -> None:
    """Raise StartupError if a newer program than this one wrote the database."""
    if version > len(MIGRATIONS):
        raise StartupError(
            f"{path} was written by a newer claude-mailbox (schema {version}, this one knows"
            f" {len(MIGRATIONS)}): update claude-mailbox."
        )


def cannot_use(path: str, error: Exception) -> str:
    """Return the message for an error of the disk or the system."""
    reason = error.strerror if isinstance(error, OSError) else error
    return (
        f"Cannot use the database {path} ({reason}): check that its folder exists, can be written"
        " by you, and is on a disk that works and has free space, or choose another file with"
        " --db-path."
    )


def tighten(path: str) -> None:
    """Make the database's files readable only for our user."""
    for file in _existing(path):
        if stat.S_IMODE(os.stat(file).st_mode) & 0o077:
            os.chmod(file, 0o600)


def size_of(path: str) -> int:
    """Return the size of a file in bytes, 0 if it does not exist."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


@contextlib.contextmanager
def opened(path: str, flags: int) -> Iterator[apsw.VFSFile]:
    """Open a file with SQLite's own functions.

    Closing a descriptor of ``os.open`` would free all locks that this process has on the file
    (fcntl(2)), SQLite's included.
    """
    file = apsw.VFSFile("", path, [flags, 0])
    try:
        yield file
    finally:
        file.xClose()


def _existing(path: str) -> list[str]:
    return [name for name in (path, *(path + end for end in _BESIDE)) if os.path.lexists(name)]


def _check_owner(path: str) -> None:
    if not hasattr(os, "getuid"):
        return
    for file in _existing(path):
        if os.lstat(file).st_uid != os.getuid():
            raise StartupError(
                f"{file} belongs to another user; nothing was changed. Choose a database of your"
                " own with --db-path."
            )


def _check_names(path: str) -> None:
    """Refuse a file with hard links: the journal and our lock belong to one of its names only."""
    if os.path.isfile(path) and os.stat(path).st_nlink > 1:
        raise StartupError(
            f"The file {path} has another name, too (a hard link), by which a second daemon could"
            " destroy it; nothing was changed. Remove the other name, or make a copy and remove"
            " this one."
        )


def _header_of(path: str) -> bytes:
    """Return the database's header, or nothing if the file is missing or empty."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return b""
    if not stat.S_ISREG(mode):
        raise ValueError("it is not a file")
    with opened(path, apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY) as file:
        size = min(_HEADER_BYTES, file.xFileSize())
        return file.xRead(size, 0) if size else b""


def _header_in_journal(path: str) -> bytes:
    """Return the database's header as it is in a journal, or nothing if it is not there."""
    if not size_of(path):
        return b""
    found = b""
    with opened(path, apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READONLY) as file:
        size = file.xFileSize()
        if size < _WAL_HEADER_BYTES:
            return b""
        head = file.xRead(_WAL_HEADER_BYTES, 0)
        page_size, salt = int.from_bytes(head[8:12]), head[16:24]
        step = _FRAME_HEADER_BYTES + page_size
        for offset in range(_WAL_HEADER_BYTES, size - step + 1, step):
            frame = file.xRead(_FRAME_HEADER_BYTES + _HEADER_BYTES, offset)
            if frame[8:16] != salt:  # left from before the journal was restarted
                break
            if int.from_bytes(frame[:4]) == 1:
                found = frame[_FRAME_HEADER_BYTES:]
    return found


def _application_id(header: bytes) -> int:
    return int.from_bytes(header[68:72])


def _has_tables(header: bytes) -> bool:
    """Return whether the first page, which lists the tables, has entries or is an inner page."""
    is_inner = header[100] == 5
    return is_inner or int.from_bytes(header[103:105]) > 0
