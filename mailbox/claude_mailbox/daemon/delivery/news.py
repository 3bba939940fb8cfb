"""What other daemons on the same database tell, and what is done with it.

Each daemon calls the front of its own line, and one claim wins. Whatever is told may be lost: a
slow look around finds it all the same, some seconds later.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.delivery.sessions.doorbell import Bell
from claude_mailbox.daemon.store.peers import Notice, Round
from claude_mailbox.errors import MailboxError, Renamed

logger = logging.getLogger(__name__)

# Given the mailboxes that somebody waits at.
LookAround = Callable[[Sequence[str]], Awaitable[Round]]

LOOK_AROUND_SECONDS = 4.0
# Whoever waits on one daemon for what becomes of a message is not told by others: he looks.
END_SECONDS = 1.0


class PeerNews:
    """Applies what other daemons tell.

    Args:
        broker: announces what comes back, and knows who waits for what becomes of messages.
        lines: who waits here for mail.
        bell: rings the sessions of this machine.
        clock: returns the time in milliseconds since the epoch.
        look_around: looks for what was missed.
    """

    def __init__(
        self,
        broker: Broker,
        lines: WaiterLines,
        bell: Bell,
        clock: Callable[[], int],
        look_around: LookAround,
    ) -> None:
        self._broker = broker
        self._lines = lines
        self._bell = bell
        self._clock = clock
        self._look_around = look_around
        self._hurry = trio.Event()
        self.daemons: Sequence[str] = ()
        """The names of the daemons that are alive, as of the last look around."""

    async def apply(self, notices: AsyncIterator[Notice]) -> None:
        """Apply notices until cancelled."""
        async for notice in notices:
            self._broker.changes.note()
            if notice.renamed or notice.other or notice.is_beginning:
                self._broker.presence.forget_names()
                self._hurry.set()
            for old, new in notice.renamed:
                self._lines.dismiss(old, Renamed(old, new))
            if notice.mail:
                # An answer is for the asker who waits for it, not for whoever looks first.
                await self._look_for_answers()
            for name in notice.mail:
                if not self._lines.call_front(name):
                    self._bell.ring(name)

    async def _look_for_answers(self) -> None:
        try:
            await self._broker.look_for_answers()
        except MailboxError as error:
            logger.debug("could not look for answers: %s", error)

    async def serve(self) -> None:
        """Look around now and then, until cancelled."""
        while True:
            self._hurry = trio.Event()
            try:
                found = await self._look_around(self._lines.watched())
            except MailboxError as error:
                logger.debug("could not look around: %s", error)
            else:
                self.daemons = found.daemons
                self._broker.announce(found.put_back)
                for name in found.to_call:
                    self._lines.call_front(name)
                # What other daemons were to do at its time, should they have died.
                self._broker.expiry.note(self._clock())
                self._broker.unanswered.note()
            with trio.move_on_after(LOOK_AROUND_SECONDS):
                await self._hurry.wait()

    async def look_for_ends(self) -> None:
        """Look now and then, until cancelled, for what became of messages on other daemons."""
        while True:
            await trio.sleep(END_SECONDS)
            self._broker.receipts.call_all()
            await self._look_for_answers()
