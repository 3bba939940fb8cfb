"""Keys of a terminal, one at a time and without waiting for Enter."""

import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Keys:
    """Reads keys, as a context manager; without a terminal there are none."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._before: object = None

    def __enter__(self) -> "Keys":
        if self._is_terminal and sys.platform != "win32":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        if self._before is not None and sys.platform != "win32":
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]

    def read(self, seconds: float) -> str:
        """Return what was typed within so many seconds; nothing if nothing was."""
        if not self._is_terminal:
            time.sleep(seconds)
            return ""
        if sys.platform == "win32":
            import msvcrt

            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if msvcrt.kbhit():
                    return msvcrt.getwch()
                time.sleep(0.05)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return os.read(sys.stdin.fileno(), 64).decode(errors="ignore") if ready else ""
