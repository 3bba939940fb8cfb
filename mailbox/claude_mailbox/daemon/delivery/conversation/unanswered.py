"""Finds questions that nobody will answer, and notifies their askers."""

import logging
from collections.abc import Awaitable, Callable

import trio

from claude_mailbox.daemon.delivery.conversation import questions
from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Unanswered:
    """Looks for such questions every few seconds.

    Args:
        ledger: where questions are kept.
        clock: returns the time in milliseconds since the epoch.
        askers: callers that wait for answers.
        publish: wakes those whom a committed change concerns.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        askers: Askers,
        publish: Callable[[Change], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._askers = askers
        self._publish = publish
        # Some may be open from an earlier run of the daemon.
        self._are_open = trio.Event()
        self._are_open.set()

    def note(self) -> None:
        """Note that a question was asked."""
        self._are_open.set()

    async def look(self) -> bool:
        """End the questions that nobody will answer; return whether any are still open."""
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Change, bool]:
            change = Change(transaction, now, self._askers)
            return change, questions.close_hopeless(change, processes.is_alive)

        change, are_open = await self._ledger.run(job, durable=False)
        await self._publish(change)
        return are_open

    async def serve(self) -> None:
        """Look every few seconds while there are open questions, until cancelled."""
        while True:
            await self._are_open.wait()
            self._are_open = trio.Event()
            try:
                are_open = await self.look()
            except MailboxError as error:
                logger.warning("could not look for questions without an answer: %s", error)
                are_open = True
            if are_open:
                self._are_open.set()
            await trio.sleep(LOOK_SECONDS)
