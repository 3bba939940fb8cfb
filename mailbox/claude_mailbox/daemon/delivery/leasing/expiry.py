"""Runs what is due: explicit leases that run out, and what `conversation.timing` does.

A message whose lease has run out waits again, and the first waiter is called.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from claude_mailbox.daemon.delivery.conversation import timing
from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError

T = TypeVar("T")
logger = logging.getLogger(__name__)

_RETRY_MILLISECONDS = 1000
# Timers stand still while the machine sleeps, so the clock is read again this often.
_LONGEST_SECONDS = 5.0


class Expiry:
    """Knows when something is due next.

    Args:
        ledger: where leases are kept.
        clock: returns the time in milliseconds since the epoch.
        announce: called with the mailboxes whose messages wait again.
        askers: callers that wait for answers.
        publish: wakes those whom a committed change concerns.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        announce: Callable[[Iterable[str]], None],
        askers: Askers,
        publish: Callable[[Change], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._askers = askers
        self._publish = publish
        self._next: int | None = None
        self._knows_next = False
        self._is_sooner = trio.Event()

    def note(self, until: int) -> None:
        """Note that something is due at *until*, in milliseconds since the epoch."""
        if self._next is None or until < self._next:
            self._next = until
            self._is_sooner.set()

    async def run_after(
        self, now: int, look: Callable[[Transaction], T], *, brief: bool = True
    ) -> T:
        """Run what is due by *now*, then *look*, in one transaction."""
        if not self._knows_next or (self._next is not None and self._next <= now):
            return await self._advance(now, look)
        if not self._ledger.is_shared:
            return await self._ledger.run(look, durable=False, brief=brief)
        # Only the daemon that made a lease has noted its end.
        expired, seen = await self._ledger.run(
            lambda transaction: (transaction.leases.expire(now), look(transaction)),
            durable=False,
            brief=brief,
        )
        self._announce(expired)
        return seen

    async def _advance(self, now: int, look: Callable[[Transaction], T]) -> T:
        def job(transaction: Transaction) -> tuple[Iterable[str], Change, T]:
            expired = transaction.leases.expire(now)
            change = Change(transaction, now, self._askers)
            timing.advance(change)
            return expired, change, look(transaction)

        expired, change, seen = await self._ledger.run(job, durable=False)
        self._announce(expired)
        await self._publish(change)
        return seen

    async def expire(self) -> int | None:
        """Run what is due; return when something is due next."""
        now = self._clock()
        # Before the job: ``note`` may be called while it runs.
        self._next, self._knows_next = None, False
        following = await self._advance(
            now,
            lambda transaction: (
                transaction.leases.next_expiry(),
                transaction.conversation.next_due(now),
            ),
        )
        self._knows_next = True
        for due in following:
            if due is not None:
                self.note(due)
        return self._next

    async def serve(self) -> None:
        """Run everything when it is due, until cancelled; retry after a failure."""
        due: int | None = self._clock()
        while True:
            seconds = float("inf")
            if due is not None:
                seconds = min(max(0.0, (due - self._clock()) / 1000), _LONGEST_SECONDS)
            with trio.move_on_after(seconds) as rest:
                await self._is_sooner.wait()
            if not rest.cancelled_caught:
                self._is_sooner = trio.Event()
                # Never later: after a failure, something may be due that was not noted.
                sooner = self._clock() if self._next is None else self._next
                due = sooner if due is None else min(due, sooner)
                continue
            if due is not None and due > self._clock():
                continue
            try:
                due = await self.expire()
            except MailboxError as error:
                logger.warning("could not expire leases and questions: %s", error)
                due = self._clock() + _RETRY_MILLISECONDS
