"""Claims: waiting messages are leased for a custodian."""

from collections.abc import Awaitable, Callable

import trio

from claude_mailbox.daemon.delivery.bells.doorbell import Bell
from claude_mailbox.daemon.delivery.conversation import parking
from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.leasing.expiry import Expiry
from claude_mailbox.daemon.delivery.leasing.leases import Leases
from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.parties.custody import Custodian
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.mail import CHECK_BYTES, Claim, Delivery, shown_characters

# How many large claims may run at once: the server's budget does not count their memory before
# they reach it.
LARGE_CLAIMS = 4


class Claims:
    """Leases waiting messages. Every method may raise what ``Ledger.run`` raises.

    Args:
        expiry: runs what is due before a claim.
        leases: may have abandoned leases to release first.
        presence: told whose mail is taken.
        changes: told of each claim.
        askers: callers that wait for answers.
        bell: told of each claim, which answers a ring.
        clock: returns the time in milliseconds since the epoch.
        publish: wakes those whom a committed change concerns.
        max_attempts: how often a message is delivered before it is parked; 0 for no limit.
    """

    def __init__(
        self,
        expiry: Expiry,
        leases: Leases,
        presence: Presence,
        changes: Changes,
        askers: Askers,
        bell: Bell,
        clock: Callable[[], int],
        publish: Callable[[Change], Awaitable[None]],
        max_attempts: int,
    ) -> None:
        self._expiry = expiry
        self._leases = leases
        self._presence = presence
        self._changes = changes
        self._askers = askers
        self._bell = bell
        self._clock = clock
        self._publish = publish
        self._max_attempts = max_attempts
        self._large_claims = trio.Semaphore(LARGE_CLAIMS)

    async def take(
        self,
        name: str,
        custodian: Custodian,
        limit: int,
        by: str,
        *,
        max_characters: int | None = None,
        measure: Callable[[Delivery], int] = shown_characters,
        at_least_one: bool = True,
        present_name_only: bool = False,
        thread: int | None = None,
    ) -> Claim:
        """Lease waiting messages for *custodian*; see ``Broker.check`` for the arguments.

        Raises:
            Renamed: with *present_name_only*, if the mailbox has another name now.
        """
        now = self._clock()
        seconds = custodian.lease_seconds
        until = None if seconds is None else now + round(seconds * 1000)
        self._bell.looking(name)

        def job(
            transaction: Transaction,
        ) -> tuple[Claim, Change | None, Callable[[], None] | None]:
            conclude = self._leases.release_first(transaction)
            claim = transaction.leases.claim(
                name,
                now,
                limit=limit,
                max_bytes=CHECK_BYTES,
                lease_until=until,
                max_characters=max_characters,
                measure=measure,
                at_least_one=at_least_one,
                present_name_only=present_name_only,
                by=by,
                max_attempts=self._max_attempts,
                thread=thread,
            )
            if not claim.exhausted:
                return claim, None, conclude
            change = Change(transaction, now, self._askers)
            for number in claim.exhausted:
                parking.park(change, number)
            return claim, change, conclude

        # Either nothing is leased or the custodian knows the tokens: there is no checkpoint between
        # the ledger's answer and ``take``.
        is_brief = limit == 1 or max_characters is not None
        if is_brief:
            claim, change, conclude = await self._expiry.run_after(now, job)
        else:
            # It may read megabytes.
            async with self._large_claims:
                claim, change, conclude = await self._expiry.run_after(now, job, brief=False)
        self._bell.looked(claim.mailbox)
        self._presence.note(claim.mailbox)
        if claim.deliveries:
            custodian.take([delivery.lease for delivery in claim.deliveries])
            self._changes.note()
            if until is not None:
                self._expiry.note(until)
        if conclude is not None:
            conclude()
        if change is not None:
            await self._publish(change)
        return claim
