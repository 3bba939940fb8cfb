"""Translates PostgreSQL's errors into ours."""

import psycopg
from psycopg import errors as pg

from claude_mailbox.errors import MailboxError, Unavailable
from claude_mailbox.refusals import DatabaseAway

# Conflicts with another daemon: the transaction is undone, and can be tried again at once.
CONFLICTS: tuple[type[Exception], ...] = (
    pg.LockNotAvailable,
    pg.DeadlockDetected,
    pg.SerializationFailure,
    pg.UniqueViolation,
)

# Order matters: the first match wins.
_SENTENCES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (pg.DiskFull, "The disk of the database server is full: free some space there."),
    (
        pg.ReadOnlySqlTransaction,
        "The database server takes no writes: connect to the primary server.",
    ),
    (
        pg.InsufficientPrivilege,
        "The database server does not let us do this: give the user rights to the schema"
        " claude_mailbox.",
    ),
    (pg.LockNotAvailable, "Another daemon holds this mailbox locked: try again in a moment."),
)


def translate(error: Exception) -> MailboxError:
    """Return the error with a message for people."""
    if isinstance(error, MailboxError):
        return error
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return away(error)
    return Unavailable(
        f"The database answered with an error ({type(error).__name__}): see the daemon's log."
    )


def away(error: Exception) -> DatabaseAway:
    """Return the error for a server that cannot be reached."""
    return DatabaseAway(
        f"The database server cannot be reached ({reason(error)}), and nothing was stored: try again"
        " in a moment."
    )


def reason(error: Exception) -> str:
    """Return the first line of the error's message, which has no password in it."""
    text = " ".join(str(error).strip().splitlines()[:1])
    return text.rstrip(".:") or type(error).__name__
