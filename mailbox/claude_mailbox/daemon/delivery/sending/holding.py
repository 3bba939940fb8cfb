"""Messages that are held for the user, because two sessions keep writing to each other."""

from collections.abc import Awaitable, Callable, Sequence

from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.sending import arrive
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.history import HistoryPage
from claude_mailbox.model.limits import Held

# Most messages in a list.
LIMIT = 1000


class Holding:
    """Lists and releases them. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
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

    async def held(self) -> Sequence[Held]:
        """Return held messages, oldest first."""
        return await self._ledger.run(
            lambda transaction: transaction.exchanges.held(LIMIT), durable=False
        )

    async def entries(self, *, limit: int, excerpt: int) -> HistoryPage:
        """Return held messages, newest first, each with the first *excerpt* characters."""
        return await self._ledger.run(
            lambda transaction: transaction.overview.held(limit=limit, excerpt=excerpt),
            durable=False,
        )

    async def release(self, mailbox: str | None = None, peer: str | None = None) -> Sequence[int]:
        """Let held messages wait for delivery; return their numbers.

        Args:
            mailbox: release what this mailbox sent or is to get; None for all messages.
            peer: of those, only what it exchanged with this one.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Sequence[int], Change]:
            change = Change(transaction, now, self._askers)
            return release(change, mailbox, peer), change

        numbers, change = await self._ledger.run(job)
        await self._publish(change)
        return numbers


def release(change: Change, mailbox: str | None, peer: str | None = None) -> Sequence[int]:
    """Release held messages within a job, and reset the counts of their senders."""
    numbers, arrivals = change.transaction.exchanges.release(change.now, mailbox, peer)
    for each in arrivals:
        arrive(change, each.number, each.reply_to, each.recipient, quiet=each.is_quiet)
    return numbers
