"""Whether the process that a client key stands for still runs.

A key is a process id, and where the client could find it the time at which that process
started: ``123`` or ``123-4567``. So a process that got the id of a dead one is told apart. A key with
an ``@`` is that of a process on another machine.
"""

import os
import sys
from collections.abc import Iterator

# Places in what `_stat` returns: fields 4 and 22 of the file.
_PARENT, _STARTED = 1, 19


def is_alive(key: str) -> bool:
    """Say whether the process runs, as far as we can see; where we cannot, it does not.

    A process on another machine runs until we are told otherwise.
    """
    if "@" in key:
        return True
    pid, _, started = key.partition("-")
    if not (pid.isascii() and pid.isdigit() and len(pid) < 10):
        return False
    if started:
        return _start_time(pid) == started
    if sys.platform == "win32":  # where signal 0 would end it
        return False
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def is_surely_alive(key: str) -> bool:
    """Say whether the process runs, and is not another one that got the id of a dead one.

    Of a process on another machine nobody is sure.
    """
    return "-" in key and "@" not in key and is_alive(key)


def lineage(pid: int | None) -> Iterator[str]:
    """Yield the keys of a process, of its parent, and so on, as far as the system tells them."""
    current = str(pid)
    while (fields := _stat(current)) is not None and current != "0":
        yield f"{current}-{fields[_STARTED]}"
        current = fields[_PARENT]


def _start_time(pid: str) -> str | None:
    """Return when the process started, in clock ticks from the boot of Linux.

    None for a process that has ended, though its parent may not have asked for its end yet.
    """
    fields = _stat(pid)
    return None if fields is None else fields[_STARTED]


def _stat(pid: str) -> list[str] | None:
    """Return the fields of a living process's ``stat`` from the third on, or None (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return None
    # The second field is the program's name in brackets, and may have blanks and brackets itself.
    fields = content.rpartition(b")")[2].decode().split()
    return None if fields[0] in {"Z", "X"} else fields
