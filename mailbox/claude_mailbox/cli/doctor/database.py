"""A look at the database file that leaves no trace."""

import os
from urllib.parse import quote

import apsw

# Reading every page of a larger one would take too long for a look.
_SIZE_LIMIT = 2 * 1024**3


def examine_database(path: str, *, is_in_use: bool) -> tuple[str, str] | None:
    """Return what is wrong with the database and what to do about it, or None.

    Args:
        path: the file, which exists.
        is_in_use: whether a daemon has it open.
    """
    from claude_mailbox.daemon.store.sqlite.schema import APPLICATION_ID, MIGRATIONS

    # Without a journal there is nothing to share, and SQLite need not make files to say so.
    is_alone = not is_in_use and not os.path.exists(f"{path}-wal")
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro{'&immutable=1' if is_alone else ''}"
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            connection.set_busy_timeout(2000)
            if connection.pragma("application_id") != APPLICATION_ID:
                return "is a database of another program", 'choose another file with "dbPath"'
            version = int(str(connection.pragma("user_version")))
            if version > len(MIGRATIONS):
                return f"was written by a newer version (schema {version})", "update claude-mailbox"
            if os.path.getsize(path) <= _SIZE_LIMIT:
                outcome = connection.pragma("quick_check")
                if outcome != "ok":
                    return f"is damaged: {outcome}", _RESTORE
        finally:
            connection.close()
    except apsw.NotADBError:
        return "is not a SQLite database", 'move it away, or choose another file with "dbPath"'
    except apsw.CorruptError as error:
        return f"is damaged ({error})", _RESTORE
    except apsw.Error as error:
        return f"cannot be read ({error})", "check its permissions"
    return None


_RESTORE = "restore it from a backup, or move it away to start with an empty one"
