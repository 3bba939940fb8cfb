"""The daemon's time: wall time at its start, and from then on a clock that only goes forward.

People and programs set the wall clock, forward and back. A lease of three seconds must last three
seconds all the same, and nothing may have been seen in the future.
"""

import time

# Elsewhere the monotonic clock counts the time that the machine sleeps; on Linux only this does.
_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", None)


class SteadyClock:
    """Returns milliseconds since the epoch, as the wall clock had it when it was made.

    Daemons that share a database go by the clock of its server instead, whatever theirs say.
    """

    def __init__(self) -> None:
        self._offset = time.time_ns() - elapsed()

    def __call__(self) -> int:
        return (self._offset + elapsed()) // 1_000_000

    def set(self, milliseconds: int, asked: int, answered: int) -> None:
        """Go by another clock, which said *milliseconds* between two readings of ``elapsed``.

        A difference that the way there and back explains changes nothing.
        """
        offset = milliseconds * 1_000_000 - (asked + answered) // 2
        if abs(offset - self._offset) > (answered - asked) // 2 + 1_000_000:
            self._offset = offset


def elapsed() -> int:
    """Return nanoseconds of a clock that nobody sets."""
    return time.monotonic_ns() if _BOOT_TIME is None else time.clock_gettime_ns(_BOOT_TIME)
