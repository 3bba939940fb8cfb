"""Leases end: by an ack or a settlement the message is delivered, by a release it waits again."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from claude_mailbox.daemon.delivery.leasing.expiry import Expiry
from claude_mailbox.daemon.delivery.leasing.receipts import Receipts
from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.parties.custody import Follower
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import LeaseOutcome

logger = logging.getLogger(__name__)

# More leases than these do not count as a brief job of the ledger.
_BRIEF_TOKENS = 256


class Leases:
    """Ends and extends leases. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where mail is kept.
        clock: returns the time in milliseconds since the epoch.
        expiry: told when an extended lease ends.
        receipts: told what was delivered.
        changes: told of each change.
        announce: called with the mailboxes whose messages wait again.
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
        """Mark leased messages delivered, durably; with *mailbox*, only messages to it."""
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

        Not flushed, unlike an ack: after a power cut the messages are delivered once more.
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
        """Put leased messages back in their places, and wake the waiters."""
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

        If the database cannot be written now, the next claim releases them first, so that later
        messages do not overtake these.
        """
        self._abandoned.update(tokens)
        try:
            await self.release(tokens)
        except MailboxError as error:
            logger.warning("could not release: %s", error)
        else:
            self._abandoned.difference_update(tokens)

    def release_first(self, transaction: Transaction) -> Callable[[], None] | None:
        """Release abandoned leases within a claim's job.

        Returns:
            What to call after the commit, or None.
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
        """Make explicit leases end *seconds* from now."""
        until = self._clock() + round(seconds * 1000)
        outcome = await self._ledger.run(
            lambda transaction: transaction.leases.extend(tokens, until, mailbox), durable=False
        )
        for follower in self._followers:
            follower.extended(outcome.done, seconds)
        self._expiry.note(until)
        return outcome
