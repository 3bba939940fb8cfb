"""Wakes what shows the state of the mailboxes, such as an inbox page, after each change."""

import trio


class Changes:
    """Counts changes, and wakes tasks that wait for one.

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
        """Wait until there were more than *count* changes."""
        while self.count <= count:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
