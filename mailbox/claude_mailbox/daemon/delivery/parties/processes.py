"""Whether the process that a client key names still runs.

A key is a process id and, where the client could find out, the start time of the process: ``123`` or
``123-4567``. The start time tells it from a later process with the same id. A key with an ``@`` names
a process on another machine.
"""

import os
import sys
from collections.abc import Iterator

# Indexes into the list of `_stat`: fields 4 and 22 of the file.
_PARENT, _STARTED = 1, 19


def is_alive(key: str) -> bool:
    """Return whether the process runs; False where the system does not tell.

    A process on another machine counts as running.
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
    """Return whether the process certainly runs: it is on this machine, and its start time matches."""
    return "-" in key and "@" not in key and is_alive(key)


def lineage(pid: int | None) -> Iterator[str]:
    """Yield the keys of a process and its ancestors, as far as the system tells."""
    current = str(pid)
    while (fields := _stat(current)) is not None and current != "0":
        yield f"{current}-{fields[_STARTED]}"
        current = fields[_PARENT]


def _start_time(pid: str) -> str | None:
    """Return when the process started, in clock ticks since boot; None if it has ended."""
    fields = _stat(pid)
    return None if fields is None else fields[_STARTED]


def _stat(pid: str) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on (proc(5)); None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return None
    # The second field is the program's name in brackets, and may have blanks and brackets itself.
    fields = content.rpartition(b")")[2].decode().split()
    return None if fields[0] in {"Z", "X"} else fields
