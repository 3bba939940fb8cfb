"""Reads the lock file of a home folder: it tells which daemon runs there."""

import os
import sys

from claude_mailbox import paths
from claude_mailbox.client import codec

# Windows locks ranges of bytes; the daemon locks one far behind the content.
_LOCKED_BYTE = 1 << 20
_CONTENT_LIMIT = 64 * 1024


def running_daemon(path: str | None = None) -> dict[str, object] | None:
    """Return what the running daemon wrote into the lock file, or None if no daemon runs.

    The result is empty while a starting daemon has not written to the file yet, and when the
    file cannot be read.

    Args:
        path: the lock file of another home folder than ours.
    """
    try:
        descriptor = os.open(path or paths.lock_path(), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    except OSError:
        return {}
    try:
        if not _is_locked(descriptor):
            return None
        os.lseek(descriptor, 0, os.SEEK_SET)
        content = codec.decode(os.read(descriptor, _CONTENT_LIMIT))
    except (OSError, ValueError):
        return {}
    finally:
        os.close(descriptor)
    return content if isinstance(content, dict) else {}


def is_ours(health: dict[str, object]) -> bool:
    """Return whether a daemon that tells this of itself is that of our home folder."""
    running = running_daemon()
    return running is not None and running.get("pid") == health.get("pid")


def may_read_lock(path: str | None = None) -> bool:
    """Return whether the lock file says anything to us; that of another user does not.

    Args:
        path: the lock file of another home folder than ours.
    """
    return os.access(path or paths.lock_path(), os.R_OK)


if sys.platform == "win32":
    import msvcrt

    def _is_locked(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return True
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def _is_locked(descriptor: int) -> bool:
        # This takes the lock for a moment; a daemon that starts just then tries again.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # there are no locks here, so that no daemon starts
        return False
