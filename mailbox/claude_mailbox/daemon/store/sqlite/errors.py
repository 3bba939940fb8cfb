"""What SQLite's errors mean for people."""

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

# After these nobody knows what is stored. The first two are failed flushes; the others come when
# the journal is written already, and what tells its readers so cannot be.
_DOUBTFUL = {
    apsw.SQLITE_IOERR_FSYNC,
    apsw.SQLITE_IOERR_DIR_FSYNC,
    apsw.SQLITE_IOERR_SHMOPEN,
    apsw.SQLITE_IOERR_SHMSIZE,
    apsw.SQLITE_IOERR_SHMMAP,
}


class DatabaseGone(Unavailable):
    """The file was removed or replaced: what is written goes nowhere."""


def translate(error: Exception, path: str) -> MailboxError:
    """Return the error that says what to do; *path* is the database."""
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
