"""The daemon's clock: starts at the wall time, and then only goes forward.

The wall clock may be set forward or back at any time; a lease of three seconds must still last three
seconds.
"""

import time

# On Linux only this clock goes on while the machine sleeps; elsewhere the monotonic one does.
_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", None)


class SteadyClock:
    """Returns milliseconds since the epoch, by the wall clock at the time when it was made.

    Daemons that share a database follow the clock of its server instead.
    """

    def __init__(self) -> None:
        self._offset = time.time_ns() - elapsed()

    def __call__(self) -> int:
        return (self._offset + elapsed()) // 1_000_000

    def set(self, milliseconds: int, asked: int, answered: int) -> None:
        """Follow another clock, which said *milliseconds* between two readings of ``elapsed``.

        A difference within the round trip is ignored.
        """
        offset = milliseconds * 1_000_000 - (asked + answered) // 2
        if abs(offset - self._offset) > (answered - asked) // 2 + 1_000_000:
            self._offset = offset


def elapsed() -> int:
    """Return nanoseconds of a clock that is never set."""
    return time.monotonic_ns() if _BOOT_TIME is None else time.clock_gettime_ns(_BOOT_TIME)
