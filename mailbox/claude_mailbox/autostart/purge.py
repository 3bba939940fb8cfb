"""Deletes a home folder, and nothing in it that we did not put there."""

import os
import stat

from claude_mailbox.errors import AutostartError

_DATABASE = "mailbox.db"
_LOCK = "mailbox.lock"
_KNOWN = frozenset(
    {
        _DATABASE,
        "mailbox.db-journal",
        "mailbox.db-lock",
        "mailbox.db-shm",
        "mailbox.db-wal",
        "mailbox.json",
        _LOCK,
        "mailbox.sock",
        "daemon.log",
        "daemon.log.old",
        "autostart.xml",
    }
)
_BELLS = "bells"
_USUAL_NAME = ".claude-mailbox"
# Where SQLite keeps the application id that tells our database from a stranger's.
_ID_OFFSET, _ID = 68, b"CMBX"


def empty_home(home: str) -> tuple[list[str], list[str]]:
    """Delete what is ours in *home*, and the folder when that empties it.

    Returns:
        The paths that were deleted, and those that were left because we do not know them. A
        folder that does not look like ours at all is left as it is.

    Raises:
        AutostartError: if something of ours cannot be deleted.
    """
    deleted: list[str] = []
    left: list[str] = []
    try:
        if not os.path.isdir(home):
            return deleted, left
        if not _is_ours(home):
            return deleted, [os.path.join(home, name) for name in sorted(os.listdir(home))]
        _empty(home, _KNOWN, deleted, left)
        # Nothing else is ever put among the bells; their names are those of sessions.
        bells = os.path.join(home, _BELLS)
        if bells in left and os.path.isdir(bells) and not os.path.islink(bells):
            left.remove(bells)
            _empty(bells, None, deleted, left)
            _remove_folder(bells, deleted)
        _remove_folder(home, deleted)
    except OSError as error:
        raise AutostartError(
            f"Cannot delete {error.filename}: {error.strerror}. Delete it by hand, or fix its"
            " permissions and run uninstall-autostart --purge again."
        ) from None
    return deleted, left


def _is_ours(home: str) -> bool:
    names = os.listdir(home)
    if not names or os.path.basename(home) == _USUAL_NAME or _LOCK in names:
        return True
    try:
        with open(os.path.join(home, _DATABASE), "rb") as file:
            file.seek(_ID_OFFSET)
            return file.read(len(_ID)) == _ID
    except OSError:
        return False


def _empty(folder: str, known: frozenset[str] | None, deleted: list[str], left: list[str]) -> None:
    """Delete the *known* files of *folder*, or all of them; never a folder."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if (known is None or name in known) and not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            deleted.append(path)
        else:
            left.append(path)


def _remove_folder(folder: str, deleted: list[str]) -> None:
    if not os.listdir(folder) and not os.path.islink(folder):
        os.rmdir(folder)
        deleted.append(folder)
