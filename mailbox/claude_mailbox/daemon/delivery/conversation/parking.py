"""Messages that were handed out too often and never confirmed: they leave the line.

::

    waits --- looked at again after `maxAttempts` times ---> parked: its sender gets a notice
      ^                                                         |
      |                                                         |
      +---- retried: as if never handed out --------------------+---- dropped ----> deleted
"""

from collections.abc import Callable, Iterable, Sequence

from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.timing import notify_sender
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.model.conversations import PARKED
from claude_mailbox.model.history import MessageStatus


def park(change: Change, number: int) -> None:
    """Take a message out of the line, and tell its sender."""
    returned = change.transaction.conversation.park(number)
    sentence = (
        f"Your message {number} to '{returned.recipient}' is parked: it was handed out"
        f" {returned.attempts} times and never confirmed. `claude-mailbox parked retry {number}`"
        " puts it back."
    )
    notify_sender(change, returned, PARKED, sentence)


class Parking:
    """What is parked. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where it is kept.
        clock: returns the time in milliseconds since the epoch.
        announce: told of mailboxes that got messages back.
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
        """Return what is parked, oldest first; with *mailbox*, only what it sent or got."""
        return await self._ledger.run(
            lambda transaction: transaction.conversation.parked(mailbox), durable=False
        )

    async def retry(self, numbers: Sequence[int]) -> Sequence[int]:
        """Let parked messages wait again; return which were parked."""
        now = self._clock()
        done, mailboxes = await self._ledger.run(
            lambda transaction: transaction.conversation.retry(numbers, now)
        )
        self._announce(mailboxes)
        return done

    async def drop(self, numbers: Sequence[int]) -> Sequence[int]:
        """Delete parked messages; return which were parked."""
        return await self._ledger.run(lambda transaction: transaction.conversation.drop(numbers))
