"""Lines of waiters, one for each mailbox, first in, first out.

Every waiter joins the line before it looks for mail, even when mail is there; only the first in line
looks; and a waiter that leaves, for whatever reason, calls the next. So nobody is overtaken, and no
mail is overlooked.

A line is a dict, which keeps the order and removes a cancelled waiter in O(1).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from claude_mailbox.errors import MailboxError, QuotaFull


class Waiter:
    """A waiter in a line, or for a receipt or an answer. ``turn`` returns when it should look."""

    __slots__ = ("_called", "_dismissed", "_interrupt", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._called = trio.Event()
        self._dismissed: MailboxError | None = None
        self._interrupt: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = "dismissed" if self._dismissed else "called" if self._called.is_set() else "waiting"
        return f"<Waiter for {self.name!r}: {state}>"

    def call(self) -> None:
        """Tell the waiter to look."""
        self._called.set()
        if self._interrupt is not None:
            self._interrupt()

    def dismiss(self, reason: MailboxError) -> None:
        """Make ``turn`` raise *reason*."""
        self._dismissed = reason
        self.call()

    @property
    def is_called(self) -> bool:
        """Whether ``turn`` would return, or raise, at once."""
        return self._called.is_set()

    async def called(self) -> None:
        """Wait to be called, without the re-arming that ``turn`` does."""
        await self._called.wait()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call *interrupt* when the waiter is called during the ``with`` block."""
        self._interrupt = interrupt
        try:
            yield
        finally:
            self._interrupt = None

    async def turn(self) -> None:
        """Wait to be called, and re-arm, so that a later call is not missed.

        After a call it returns at once, even in a cancelled scope.

        Raises:
            MailboxError: the reason of ``dismiss``.
        """
        if not self._called.is_set():
            await self._called.wait()
        if self._dismissed is not None:
            raise self._dismissed
        self._called = trio.Event()


class WaiterLines:
    """All lines. Synchronous, no I/O.

    Args:
        limit: how many waiters one line may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: dict[str, dict[Waiter, None]] = {}
        self._closed: MailboxError | None = None

    def __repr__(self) -> str:
        return f"<WaiterLines: {self.total()} waiters for {len(self._lines)} mailboxes>"

    @contextmanager
    def join(self, name: str) -> Iterator[Waiter]:
        """Join the end of a mailbox's line for the duration of the ``with`` block.

        Raises:
            QuotaFull: if the line is full.
            ShuttingDown: if the lines are closed.
        """
        if self._closed is not None:
            raise self._closed
        line = self._lines.setdefault(name, {})
        if len(line) >= self._limit:
            raise QuotaFull(
                f"{len(line)} watches wait for mail to '{name}' already (the limit is"
                f" {self._limit}, maxWaitersPerMailbox): end some of them first."
            )
        waiter = Waiter(name)
        line[waiter] = None
        if len(line) == 1:
            waiter.call()
        try:
            yield waiter
        finally:
            self._leave(waiter, line)

    def _leave(self, waiter: Waiter, line: dict[Waiter, None]) -> None:
        was_front = next(iter(line)) is waiter
        del line[waiter]
        if line:
            if was_front:
                next(iter(line)).call()
        elif self._lines.get(waiter.name) is line:
            del self._lines[waiter.name]

    def call_front(self, name: str) -> bool:
        """Call the first waiter of a line; return whether there is one."""
        line = self._lines.get(name)
        if not line:
            return False
        next(iter(line)).call()
        return True

    def dismiss(self, name: str, reason: MailboxError) -> int:
        """Make all waiters of a line raise *reason*; return how many there were."""
        line = self._lines.pop(name, {})
        for waiter in line:
            waiter.dismiss(reason)
        return len(line)

    def close(self, reason: MailboxError) -> None:
        """Make all waiters raise *reason*, now and later."""
        self._closed = reason
        for name in list(self._lines):
            self.dismiss(name, reason)

    def count(self, name: str) -> int:
        """Return how many waiters a mailbox has."""
        return len(self._lines.get(name, ()))

    def watched(self) -> list[str]:
        """Return the mailboxes that have waiters."""
        return [name for name, line in self._lines.items() if line]

    def total(self) -> int:
        """Return how many waiters there are."""
        return sum(len(line) for line in self._lines.values())
