"""Lock files: one daemon for each home folder, and one for each SQLite database."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence

from claude_mailbox import __version__
from claude_mailbox.errors import StartupError

# A command that asks whether the lock is held takes it for a moment.
_PATIENCE_SECONDS = 0.5


class Lock:
    """Holds a lock file until ``close``; the system frees it when the process dies.

    Args:
        path: the lock file. It is made, and never deleted: others may have it open.

    Raises:
        StartupError: if another daemon holds it, with its pid, or if it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            # Not through a link: the file is truncated below.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise StartupError(self._unwritable(error)) from None
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._try_lock():
            if time.monotonic() > deadline:
                holder = self._holder()
                os.close(self._descriptor)
                raise StartupError(self._taken(holder))
            time.sleep(0.02)
        # The pid of a daemon that was killed may be another process's by now.
        os.ftruncate(self._descriptor, 0)

    def _try_lock(self) -> bool:
        try:
            return _try_lock(self._descriptor)
        except OSError as error:
            os.close(self._descriptor)
            raise StartupError(
                f"The file system of {os.path.dirname(self._path)} has no file locks"
                f" ({error.strerror}), without which two daemons could share a mailbox: choose a"
                " local disk for the home folder with CLAUDE_MAILBOX_HOME, and for the database."
            ) from None

    def describe(self, addresses: Sequence[str] = ()) -> None:
        """Write our pid, version and addresses into the file.

        Raises:
            StartupError: if it cannot be written.
        """
        content = {"pid": os.getpid(), "version": __version__, "addresses": list(addresses)}
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, json.dumps(content).encode() + b"\n")
        except OSError as error:
            raise StartupError(self._unwritable(error)) from None

    def close(self) -> None:
        """Free the lock."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def _holder(self) -> str:
        try:
            return f" (pid {json.loads(os.pread(self._descriptor, 4096, 0))['pid']})"
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            return ""

    def _unwritable(self, error: OSError) -> str:
        raise NotImplementedError

    def _taken(self, holder: str) -> str:
        raise NotImplementedError


class HomeLock(Lock):
    """The lock of the home folder."""

    def _unwritable(self, error: OSError) -> str:
        return (
            f"Cannot write in the home folder {os.path.dirname(self._path)} ({error.strerror}):"
            " check its permissions and free space, or choose another one with"
            " CLAUDE_MAILBOX_HOME."
        )

    def _taken(self, holder: str) -> str:
        return (
            f"Another claude-mailbox daemon{holder} runs in {os.path.dirname(self._path)}: use it,"
            " stop it with 'claude-mailbox stop', or choose another home with CLAUDE_MAILBOX_HOME."
        )


class DatabaseLock(Lock):
    """The lock of a database, which daemons with other home folders could open.

    SQLite's own locks do not do this: they are held for one transaction only.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        super().__init__(f"{database}-lock")
        with contextlib.suppress(StartupError):  # on a full disk the lock is held without our pid
            self.describe()

    def _unwritable(self, error: OSError) -> str:
        return (
            f"Cannot use the database {self._database} ({error.strerror}): check that its folder"
            " exists and can be written by you, or choose another file with --db-path."
        )

    def _taken(self, holder: str) -> str:
        return (
            f"Another claude-mailbox daemon{holder} uses the database {self._database}: stop it, or"
            " choose another file with --db-path."
        )


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # A byte far behind the content: Windows lets no other process read a locked byte.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
