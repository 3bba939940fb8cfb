"""Reacts to what other daemons on the same database do.

Each daemon calls the first waiter of its own line, and one claim wins. A notification may be lost;
a slow poll finds the same some seconds later.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import trio

from claude_mailbox.daemon.delivery.bells.doorbell import Bell
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.store.notifications import Notification, PollResult
from claude_mailbox.errors import MailboxError, Renamed

logger = logging.getLogger(__name__)

# Given the mailboxes that are watched here.
Poll = Callable[[Sequence[str]], Awaitable[PollResult]]

POLL_SECONDS = 4.0
# Daemons do not notify each other of deliveries, so who waits for one here looks this often.
RECEIPT_SECONDS = 1.0


class OtherDaemons:
    """Applies notifications, and polls for what they missed.

    Args:
        broker: announces released mail, and wakes who waits for answers and receipts.
        lines: who waits here for mail.
        bell: rings the sessions of this machine.
        clock: returns the time in milliseconds since the epoch.
        poll: looks into the database.
    """

    def __init__(
        self,
        broker: Broker,
        lines: WaiterLines,
        bell: Bell,
        clock: Callable[[], int],
        poll: Poll,
    ) -> None:
        self._broker = broker
        self._lines = lines
        self._bell = bell
        self._clock = clock
        self._poll = poll
        self._poll_soon = trio.Event()
        self.names: Sequence[str] = ()
        """The names of the daemons that are alive, ours included, as of the last poll."""

    async def apply(self, notifications: AsyncIterator[Notification]) -> None:
        """Apply notifications until cancelled."""
        async for notification in notifications:
            self._broker.changes.note()
            if notification.renamed or notification.other or notification.is_beginning:
                self._broker.presence.forget_names()
                self._poll_soon.set()
            for old, new in notification.renamed:
                self._lines.dismiss(old, Renamed(old, new))
            if notification.mail:
                # First: an answer is for the asker who waits for it, not for the first to check.
                await self._look_for_answers()
            for name in notification.mail:
                if not self._lines.call_front(name):
                    self._bell.ring(name)

    async def _look_for_answers(self) -> None:
        try:
            await self._broker.look_for_answers()
        except MailboxError as error:
            logger.debug("could not look for answers: %s", error)

    async def serve(self) -> None:
        """Poll every few seconds, until cancelled."""
        while True:
            self._poll_soon = trio.Event()
            try:
                found = await self._poll(self._lines.watched())
            except MailboxError as error:
                logger.debug("could not poll the database: %s", error)
            else:
                self.names = found.daemons
                self._broker.announce(found.released)
                for name in found.to_call:
                    self._lines.call_front(name)
                # Expiries that a daemon noted which has died since.
                self._broker.expiry.note(self._clock())
                self._broker.unanswered.note()
            with trio.move_on_after(POLL_SECONDS):
                await self._poll_soon.wait()

    async def look_for_receipts(self) -> None:
        """Every second, let callers who wait for a receipt or an answer look again."""
        while True:
            await trio.sleep(RECEIPT_SECONDS)
            self._broker.receipts.call_all()
            await self._look_for_answers()
