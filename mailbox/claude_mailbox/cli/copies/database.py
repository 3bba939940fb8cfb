"""Copies of the database as it is, checked before they count."""

import os
import time

import apsw

from claude_mailbox import config
from claude_mailbox.cli.doctor.database import database_problem
from claude_mailbox.client.reach.address import is_own_daemon
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.lock_file import is_ours
from claude_mailbox.errors import DaemonUnreachable, MailboxError

# What lies beside a database and belongs to it.
_BESIDE = ("-wal", "-shm")


def database_path() -> str:
    """Return the path of our daemon's database; of one that does not run, as configured.

    Raises:
        MailboxError: if there is no database, or it is on another machine.
    """
    is_own = is_own_daemon()
    try:
        health = Daemon().health()
    except DaemonUnreachable:
        if not is_own:
            raise
        path = config.load().db_path
    else:
        if not (is_own or is_ours(health)):
            raise MailboxError(
                "CLAUDE_MAILBOX_URL leads to another daemon than that of this home folder: do this"
                " on the daemon's own machine, or without the variable."
            )
        path = str(health.get("dbPath"))
    if not os.path.exists(path):
        raise MailboxError(f"There is no database at {path}: nothing was sent yet.")
    return path


def reading(path: str) -> apsw.Connection:
    """Open a database that its daemon may be using, for reading."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(5000)
    return connection


def copy(source: str, target: str) -> None:
    """Copy a database as it is at this moment, while its daemon works, and check the copy.

    The copy appears under its name when it is whole and on the disk.

    Raises:
        MailboxError: if there is a file at *target*, or the copy is damaged.
    """
    if os.path.exists(target):
        raise MailboxError(f"{target} exists: choose another name, or move it away.")
    partial = f"{target}.partial"
    _remove(partial)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy_pages(source, partial)
        problem = database_problem(partial, is_in_use=False)
        if problem is not None:
            raise MailboxError(f"The copy {problem[0]}: the database itself may be; see 'doctor'.")
        _flush(partial)
        os.replace(partial, target)
    except (apsw.Error, OSError) as error:
        raise MailboxError(f"Cannot copy {source} to {target} ({error}).") from None
    finally:
        _remove(partial)


def put_back(backup: str, path: str) -> str | None:
    """Put a backup in the place of the database at *path*, which nobody uses.

    Returns:
        Where the old database is now, or None if there was none.

    Raises:
        MailboxError: if the backup is none of ours, or damaged; nothing was changed then.
    """
    if not os.path.exists(backup):
        raise MailboxError(f"There is no file {backup}.")
    problem = database_problem(backup, is_in_use=False)
    if problem is not None:
        raise MailboxError(f"{backup} {problem[0]}: {problem[1]}.")
    new = f"{path}.restoring"
    _remove(new)
    copy(backup, new)
    kept = None
    if os.path.exists(path):
        kept = f"{path}.{time.strftime('%Y%m%d-%H%M%S')}"
        for ending in ("", *_BESIDE):
            if os.path.exists(path + ending):
                os.replace(path + ending, kept + ending)
    os.replace(new, path)
    return kept


def _copy_pages(source: str, target: str) -> None:
    original, duplicate = reading(source), apsw.Connection(target)
    try:
        # In one step, which sees one state: in WAL mode nobody waits for it.
        with duplicate.backup("main", original, "main") as backup:
            backup.step(-1)
        # One file, without a journal beside it.
        duplicate.pragma("journal_mode", "delete")
    finally:
        duplicate.close()
        original.close()


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    for ending in ("", "-journal", *_BESIDE):
        try:  # noqa: SIM105
            os.remove(path + ending)
        except FileNotFoundError:
            pass
