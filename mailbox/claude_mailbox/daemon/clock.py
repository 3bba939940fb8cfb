"""The daemon's time: wall time at its start, and from then on a clock that only goes forward.

People and programs set the wall clock, forward and back. A lease of three seconds must last three
seconds all the same, and nothing may have been seen in the future.
"""

import time
from collections.abc import Callable

# Elsewhere the monotonic clock counts the time that the machine sleeps; on Linux only this does.
_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", None)


def steady_clock() -> Callable[[], int]:
    """Return a clock: milliseconds since the epoch, as the wall clock had it when it was made."""
    offset = time.time_ns() - _elapsed()
    return lambda: (offset + _elapsed()) // 1_000_000


def _elapsed() -> int:
    return time.monotonic_ns() if _BOOT_TIME is None else time.clock_gettime_ns(_BOOT_TIME)
