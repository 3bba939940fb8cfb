"""Translates SQLite's errors into ours."""

import apsw

from claude_mailbox.errors import DiskFailed, MailboxError, Unavailable

# Order matters: the first match wins.
_SENTENCES: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "The disk is full: free some space."),
    (
        apsw.ReadOnlyError,
        "The database cannot be written: check its permissions, and that its file system is not"
        " mounted read-only.",
    ),
    (apsw.CorruptError, "The database is damaged: run 'claude-mailbox doctor'."),
    (apsw.BusyError, "Another program holds the database locked: end it and try again."),
    (
        apsw.IOError,
        "The disk cannot be read or written right now: check its space and health.",
    ),
)

# After these it is unknown what is stored. The first two are failed flushes; the others happen when
# the journal is written, but not yet the shared memory that its readers use.
_DOUBTFUL = {
    apsw.SQLITE_IOERR_FSYNC,
    apsw.SQLITE_IOERR_DIR_FSYNC,
    apsw.SQLITE_IOERR_SHMOPEN,
    apsw.SQLITE_IOERR_SHMSIZE,
    apsw.SQLITE_IOERR_SHMMAP,
}


class DatabaseGone(Unavailable):
    """The file was removed or replaced, so what is written would be lost."""


def translate(error: Exception, path: str) -> MailboxError:
    """Return the error with a message for people; *path* is the database."""
    if getattr(error, "extendedresult", 0) in _DOUBTFUL:  # only SQLite's own errors have it
        return DiskFailed(
            f"The disk failed to store what was written to the database {path} ({error}), so the"
            " daemon has ended: check the disk's space and health, then start the daemon again."
        )
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    return Unavailable(
        f"The database answered with an error ({type(error).__name__}): see the daemon's log."
    )
