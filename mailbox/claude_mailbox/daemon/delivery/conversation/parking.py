"""Parked messages: delivered `maxAttempts` times, and never confirmed.

::

    waiting ---- claimed once more ----> parked: its sender gets a notice
       ^                                   |
       +--- retried, attempts are 0 again -+---- dropped ----> deleted
"""

from collections.abc import Callable, Iterable, Sequence

from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.timing import notify_sender
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.model.conversations import PARKED
from claude_mailbox.model.history import MessageStatus


def park(change: Change, number: int) -> None:
    """Park a message, and notify its sender."""
    returned = change.transaction.conversation.park(number)
    sentence = (
        f"Your message {number} to '{returned.recipient}' is parked: it was handed out"
        f" {returned.attempts} times and never confirmed. `claude-mailbox parked retry {number}`"
        " puts it back."
    )
    notify_sender(change, returned, PARKED, sentence)


class Parking:
    """Lists, retries and drops them. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        clock: returns the time in milliseconds since the epoch.
        announce: called with the mailboxes whose messages wait again.
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

    async def list(self, mailbox: str | None = None) -> Sequence[MessageStatus]:
        """Return parked messages, oldest first; with *mailbox*, only those that it sent or got."""
        return await self._ledger.run(
            lambda transaction: transaction.conversation.parked(mailbox), durable=False
        )

    async def retry(self, numbers: Sequence[int]) -> Sequence[int]:
        """Make parked messages wait again; return the numbers of those that were parked."""
        now = self._clock()
        done, mailboxes = await self._ledger.run(
            lambda transaction: transaction.conversation.retry(numbers, now)
        )
        self._announce(mailboxes)
        return done

    async def drop(self, numbers: Sequence[int]) -> Sequence[int]:
        """Delete parked messages; return the numbers of those that were parked."""
        return await self._ledger.run(lambda transaction: transaction.conversation.drop(numbers))
