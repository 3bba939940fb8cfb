"""Bell files, which the clients of sessions watch.

A bell is a plain file of ours with the time of the last ring. Anything else in its place is never
written to: a link or a fifo is replaced, and a folder keeps that session from being rung.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from claude_mailbox.paths import bells_path

# Without these flags a link would be followed, and a fifo would block until it has a reader.
_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def make_folder() -> None:
    """Make the folder of the bells.

    Raises:
        OSError: if that fails, or something else is in its place.
    """
    folder = bells_path()
    with contextlib.suppress(FileExistsError):
        os.makedirs(folder, mode=0o700)
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", folder)


def ring(path: str) -> None:
    """Write one bell, and make it if it is not there.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        if not _is_plain(descriptor):
            os.close(descriptor)
            raise OSError(errno.EEXIST, "it is no file of ours", path)
    except FileNotFoundError:
        descriptor = _make(path)
    except OSError:
        os.unlink(path)
        descriptor = _make(path)
    with open(descriptor, "wb") as file:
        file.write(b"%d\n" % time.time_ns())


def _is_plain(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    is_ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and is_ours


def _make(path: str) -> int:
    return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)


def remove(path: str) -> None:
    """Remove one bell, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def keep_only(keep: AbstractSet[str]) -> None:
    """Remove all files in the folder of the bells but *keep*."""
    folder = bells_path()
    names: Iterable[str] = ()
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
    for path in {os.path.join(folder, name) for name in names} - keep:
        remove(path)
