"""Explicit leases that run out: their messages go back in line, and who waits there is called."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import trio

from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError

T = TypeVar("T")
logger = logging.getLogger(__name__)

_RETRY_MILLISECONDS = 1000
# While the machine sleeps a timer stands still, so no wait is longer.
_LONGEST_SECONDS = 5.0


class Expiry:
    """Knows when the next lease runs out.

    Args:
        ledger: where leases are kept.
        clock: returns the time in milliseconds since the epoch.
        announce: told of the mailboxes that got messages back.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._next: int | None = None
        self._knows_next = False
        self._is_sooner = trio.Event()

    def note(self, until: int) -> None:
        """Note that some lease runs out then."""
        if self._next is None or until < self._next:
            self._next = until
            self._is_sooner.set()

    async def run_after(
        self, now: int, look: Callable[[Transaction], T], *, brief: bool = True
    ) -> T:
        """Put back what has run out by *now*, then *look*, all in one transaction."""
        is_due = not self._knows_next or (self._next is not None and self._next <= now)
        expired, seen = await self._ledger.run(
            lambda transaction: (transaction.leases.expire(now), look(transaction)),
            durable=False,
            brief=brief and not is_due,
        )
        self._announce(expired)
        return seen

    async def expire(self) -> int | None:
        """Put back what has run out; return when the next lease does."""
        now = self._clock()
        # Leases that are made while the job runs are noted meanwhile.
        self._next, self._knows_next = None, False
        expired, following = await self._ledger.run(
            lambda transaction: (transaction.leases.expire(now), transaction.leases.next_expiry()),
            durable=False,
        )
        self._knows_next = True
        if following is not None:
            self.note(following)
        self._announce(expired)
        return self._next

    async def serve(self) -> None:
        """Put messages back to the moment, until cancelled; a failure is tried again."""
        due: int | None = self._clock()
        while True:
            seconds = float("inf")
            if due is not None:
                seconds = min(max(0.0, (due - self._clock()) / 1000), _LONGEST_SECONDS)
            with trio.move_on_after(seconds) as rest:
                await self._is_sooner.wait()
            if not rest.cancelled_caught:
                self._is_sooner = trio.Event()
                # Only ever sooner: after a failure, some lease that is due may be known to nobody.
                sooner = self._clock() if self._next is None else self._next
                due = sooner if due is None else min(due, sooner)
                continue
            if due is not None and due > self._clock():
                continue
            try:
                due = await self.expire()
            except MailboxError as error:
                logger.warning("could not look for expired leases: %s", error)
                due = self._clock() + _RETRY_MILLISECONDS
