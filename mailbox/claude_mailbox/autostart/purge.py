"""Deletes a home folder, but no file in it that is not ours."""

import os
import stat

from claude_mailbox.errors import AutostartError

_DATABASE = "mailbox.db"
_LOCK = "mailbox.lock"
_OUR_FILES = frozenset(
    {
        _DATABASE,
        "mailbox.db-journal",
        "mailbox.db-lock",
        "mailbox.db-shm",
        "mailbox.db-wal",
        "mailbox.json",
        _LOCK,
        "mailbox.sock",
        "secret",
        "command",
        "unanswered",
        "daemon.log",
        "daemon.log.old",
        "autostart.xml",
    }
)
_BELLS = "bells"
_USUAL_NAME = ".claude-mailbox"
# Position and value of SQLite's application id, by which we know our database.
_ID_OFFSET, _ID = 68, b"CMBX"


def purge_home(home: str) -> tuple[list[str], list[str]]:
    """Delete our files in *home*, and the folder if it is empty then.

    Returns:
        The paths that were deleted, and those that were left because they are not ours. In a
        folder that does not look like a home folder, nothing is deleted.

    Raises:
        AutostartError: if one of our files cannot be deleted.
    """
    deleted: list[str] = []
    left: list[str] = []
    try:
        if not os.path.isdir(home):
            return deleted, left
        if not _is_home_folder(home):
            return deleted, [os.path.join(home, name) for name in sorted(os.listdir(home))]
        _delete_files(home, _OUR_FILES, deleted, left)
        # Doorbells are named after sessions, so all files in their folder count as ours.
        bells = os.path.join(home, _BELLS)
        if bells in left and os.path.isdir(bells) and not os.path.islink(bells):
            left.remove(bells)
            _delete_files(bells, None, deleted, left)
            _delete_if_empty(bells, deleted)
        _delete_if_empty(home, deleted)
    except OSError as error:
        raise AutostartError(
            f"Cannot delete {error.filename}: {error.strerror}. Correct that and run"
            " uninstall-autostart --purge again, or delete it by hand."
        ) from None
    return deleted, left


def _is_home_folder(home: str) -> bool:
    names = os.listdir(home)
    if not names or os.path.basename(home) == _USUAL_NAME or _LOCK in names:
        return True
    try:
        with open(os.path.join(home, _DATABASE), "rb") as file:
            file.seek(_ID_OFFSET)
            return file.read(len(_ID)) == _ID
    except OSError:
        return False


def _delete_files(
    folder: str, names: frozenset[str] | None, deleted: list[str], left: list[str]
) -> None:
    """Delete the files of *folder* with these *names*, or all files if None; never a folder."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if (names is None or name in names) and not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            deleted.append(path)
        else:
            left.append(path)


def _delete_if_empty(folder: str, deleted: list[str]) -> None:
    if not os.listdir(folder) and not os.path.islink(folder):
        os.rmdir(folder)
        deleted.append(folder)
