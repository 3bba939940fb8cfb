"""Leases on their way back: who has a message says so, or it goes back into its line."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from claude_mailbox.daemon.delivery.expiry import Expiry
from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.parties.custody import Follower
from claude_mailbox.daemon.delivery.receipts import Receipts
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import LeaseOutcome

logger = logging.getLogger(__name__)

# What a brief job of the ledger may have to do at most.
_BRIEF_TOKENS = 256


class Leases:
    """Ends leases, and makes them longer. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where mail is kept.
        clock: returns the time in milliseconds since the epoch.
        expiry: told when a lease ends.
        receipts: told what was delivered.
        changes: told that something has changed.
        announce: says that mail waits in mailboxes.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        expiry: Expiry,
        receipts: Receipts,
        changes: Changes,
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._expiry = expiry
        self._receipts = receipts
        self._changes = changes
        self._announce = announce
        self._followers: set[Follower] = set()
        self._abandoned: set[str] = set()

    async def ack(self, tokens: Sequence[str], mailbox: str | None = None) -> LeaseOutcome:
        """Mark leased messages delivered, for good; with *mailbox*, only those of that mailbox."""
        now = self._clock()
        outcome = await self._ledger.run(
            lambda transaction: transaction.leases.settle(tokens, now, mailbox),
            brief=len(tokens) <= _BRIEF_TOKENS,
        )
        self._tell_followers(tokens)
        self._receipts.settled(outcome.done)
        self._changes.note()
        return outcome

    async def settle(self, tokens: Sequence[str]) -> LeaseOutcome:
        """Mark messages delivered whose response has left.

        Unlike an ack it is not flushed to the disk at once: nobody said that he has them, and all
        that a power cut can do is to bring them once more.
        """
        now = self._clock()
        outcome = await self._ledger.run(
            lambda transaction: transaction.leases.settle(tokens, now),
            durable=False,
            brief=len(tokens) <= _BRIEF_TOKENS,
        )
        self._receipts.settled(outcome.done)
        self._changes.note()
        return outcome

    async def release(self, tokens: Sequence[str], mailbox: str | None = None) -> LeaseOutcome:
        """Put leased messages back in their places, and wake who waits for them."""
        outcome, mailboxes = await self._ledger.run(
            lambda transaction: transaction.leases.release(tokens, mailbox),
            durable=False,
            brief=len(tokens) <= _BRIEF_TOKENS,
        )
        self._tell_followers(tokens)
        self._changes.note()
        self._announce(mailboxes)
        return outcome

    async def release_abandoned(self, tokens: Sequence[str]) -> None:
        """Release the leases of a client that has gone.

        If that cannot be done now, the next claim does it first: otherwise later messages would
        overtake these.
        """
        self._abandoned.update(tokens)
        try:
            await self.release(tokens)
        except MailboxError as error:
            logger.warning("could not release: %s", error)
        else:
            self._abandoned.difference_update(tokens)

    def release_first(self, transaction: Transaction) -> Callable[[], None] | None:
        """Release what was given back and is not released yet, within a claim's job.

        Returns:
            What is to be called when the job is committed, None for nothing.
        """
        if not self._abandoned:
            return None
        tokens = tuple(self._abandoned)
        mailboxes = transaction.leases.release(tokens)[1]

        def conclude() -> None:
            self._abandoned.difference_update(tokens)
            self._announce(mailboxes)

        return conclude

    @contextmanager
    def following(self, follower: Follower) -> Iterator[None]:
        """Tell *follower* of every lease that ends during the ``with`` block."""
        self._followers.add(follower)
        try:
            yield
        finally:
            self._followers.discard(follower)

    def _tell_followers(self, tokens: Sequence[str]) -> None:
        for follower in self._followers:
            follower.ended(tokens)

    async def extend(
        self, tokens: Sequence[str], seconds: float, mailbox: str | None = None
    ) -> LeaseOutcome:
        """Let explicit leases last *seconds* from now."""
        until = self._clock() + round(seconds * 1000)
        outcome = await self._ledger.run(
            lambda transaction: transaction.leases.extend(tokens, until, mailbox), durable=False
        )
        for follower in self._followers:
            follower.extended(outcome.done, seconds)
        self._expiry.note(until)
        return outcome
