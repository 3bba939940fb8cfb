"""Messages that are held for the user, because two sessions write to each other without end."""

from collections.abc import Awaitable, Callable, Sequence

from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.sending import arrive
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.history import HistoryPage
from claude_mailbox.model.limits import Held

# How many are listed.
LIMIT = 1000


class Holding:
    """Lists and releases them. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        clock: returns the time in milliseconds since the epoch.
        askers: who waits for answers in their requests.
        publish: wakes whoever a committed change concerns.
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

    async def held(self) -> Sequence[Held]:
        """Return the messages that are held, oldest first."""
        return await self._ledger.run(
            lambda transaction: transaction.exchanges.held(LIMIT), durable=False
        )

    async def entries(self, *, limit: int, excerpt: int) -> HistoryPage:
        """Return the messages that are held, newest first, with the beginnings of their texts."""
        return await self._ledger.run(
            lambda transaction: transaction.overview.held(limit=limit, excerpt=excerpt),
            durable=False,
        )

    async def release(self, mailbox: str | None = None, peer: str | None = None) -> Sequence[int]:
        """Put what is held back in line, or what *mailbox* sent and is to get, or with *peer* alone.

        Returns:
            The numbers of the messages.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Sequence[int], Change]:
            change = Change(transaction, now, self._askers)
            return release(change, mailbox, peer), change

        numbers, change = await self._ledger.run(job)
        await self._publish(change)
        return numbers


def release(change: Change, mailbox: str | None, peer: str | None = None) -> Sequence[int]:
    """Put what is held back in line, within a job of the ledger, and let nothing count any more."""
    numbers, arrivals = change.transaction.exchanges.release(change.now, mailbox, peer)
    for each in arrivals:
        arrive(change, each.number, each.reply_to, each.recipient, quiet=each.is_quiet)
    return numbers
