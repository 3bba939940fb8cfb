"""Checks the database file without changing it or making files beside it."""

import os
from urllib.parse import quote

import apsw

# Reading every page of a larger file would take too long.
_SIZE_LIMIT = 2 * 1024**3


def database_problem(path: str, *, is_in_use: bool) -> tuple[str, str] | None:
    """Return the problem with the database and what to do about it, or None.

    Args:
        path: the file, which exists.
        is_in_use: whether a daemon has it open.
    """
    # The schema is the one thing that `doctor` shares with the inside of the daemon.
    from claude_mailbox.daemon.store.sqlite.schema import APPLICATION_ID, MIGRATIONS

    # If nobody uses the file, SQLite can read it as immutable, without making files beside it.
    is_unused = not is_in_use and not os.path.exists(f"{path}-wal")
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro{'&immutable=1' if is_unused else ''}"
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
                result = connection.pragma("quick_check")
                if result != "ok":
                    return f"is damaged: {result}", _RESTORE
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
