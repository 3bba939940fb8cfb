"""Tells who looks on that something has changed: the pages of the inbox."""

import trio


class Changes:
    """Counts changes, and wakes who waits for one. A note costs next to nothing.

    Attributes:
        count: how many there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._event: trio.Event | None = None

    def note(self) -> None:
        """Note that mail, a mailbox or a session has changed."""
        self.count += 1
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, count: int) -> None:
        """Wait until there were more than *count*."""
        while self.count <= count:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
