"""What SQLite's errors mean for people."""

import apsw

from claude_mailbox.errors import Unavailable

# Order matters: the first match wins.
_SENTENCES: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "The disk is full: free some space. Nothing was stored."),
    (
        apsw.ReadOnlyError,
        "The database cannot be written: check the permissions of the home folder. Nothing was"
        " stored.",
    ),
    (
        apsw.CorruptError,
        "The database is damaged: run 'claude-mailbox doctor'. Nothing was stored.",
    ),
    (
        apsw.BusyError,
        "Another program holds the database locked: end it and try again. Nothing was stored.",
    ),
    (
        apsw.IOError,
        "The disk cannot be read or written right now: check its space and health. Nothing was"
        " stored.",
    ),
)


def translate(error: Exception) -> Unavailable:
    """Return the error that says what to do."""
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    return Unavailable(
        f"The database answered with an error ({type(error).__name__}): see the daemon's log."
        " Nothing was stored."
    )
