"""Messages that hooks have shown to a session, until there is proof that its model has them.

A hook that prints mail does not know whether the client keeps it: the client may be killed, or the
user may take the prompt back. So the message stays leased to the session, and later hooks look for
its mark in the client's transcript (docs/transcript.md) and report what they find::

    shown ----------> proved: delivered
      |  ^              ^
      |  | shown again  | the mark turned up later, for example when the session was resumed
      v  |              |
    released -----------+    the turn is over, the session has ended, or its client is gone

Only the hooks read transcripts, on the client's machine.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.delivery.sending.holding import release
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import LeaseOutcome
from claude_mailbox.model.sessions import SessionEvent, Shown

logger = logging.getLogger(__name__)

RELEASE_SECONDS = 10
# If no hook ever reports, the message is released after this time.
LEASE_MILLISECONDS = 24 * 3600 * 1000


class Proofs:
    """The unproved messages of all sessions. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        broker: wakes the waiters of released messages.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, ledger: Ledger, broker: Broker, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._broker = broker
        self._clock = clock

    async def note_event(self, event: SessionEvent) -> list[Shown]:
        """Write down what a hook reports of its session; return what is unproved there.

        A prompt of the user releases the session's held messages.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[list[Shown], Change]:
            change = Change(transaction, now, self._broker.askers)
            transaction.shown.note_event(event, now)
            if event.begins_turn and event.is_by_user:
                mailbox = transaction.sessions.mailbox_of(event.session_id)
                if mailbox is not None:
                    release(change, mailbox)
            return transaction.shown.unproved(event.session_id), change

        unproved, change = await self._ledger.run(job, durable=False, brief=True)
        await self._broker.publish(change)
        self._broker.changes.note()
        return unproved

    async def add(self, session_id: str, shown: Sequence[Shown]) -> LeaseOutcome:
        """Keep these leases until there is proof. Each gets the present time as *shown_at*."""
        now = self._clock()
        until = now + LEASE_MILLISECONDS
        records = [replace(each, shown_at=now) for each in shown]
        outcome = await self._ledger.run(
            lambda transaction: transaction.shown.add(session_id, records, until)
        )
        self._broker.expiry.note(until)
        return outcome

    async def settle(self, session_id: str, tokens: Sequence[str]) -> LeaseOutcome:
        """Mark messages delivered that the session's model has."""
        now = self._clock()
        outcome = await self._ledger.run(
            lambda transaction: transaction.shown.settle(session_id, tokens, now)
        )
        self._broker.receipts.settled(outcome.done)
        self._broker.changes.note()
        return outcome

    async def release(self, session_id: str, tokens: Sequence[str]) -> LeaseOutcome:
        """Release messages that did not arrive, and wake the waiters."""
        outcome, mailboxes = await self._ledger.run(
            lambda transaction: transaction.shown.release(session_id, tokens), durable=False
        )
        self._broker.announce(mailboxes)
        return outcome

    async def serve(self) -> None:
        """Release messages of sessions that are gone, every few seconds, until cancelled."""
        while True:
            try:
                await self.release_unreachable()
            except MailboxError as error:
                logger.warning("could not look for mail of sessions that are gone: %s", error)
            await trio.sleep(RELEASE_SECONDS)

    async def release_unreachable(self) -> None:
        """Release the messages of sessions that have ended or whose client was killed.

        Their records are kept: the marks may turn up when the session is resumed.
        """
        holders = await self._ledger.run(
            lambda transaction: transaction.shown.holders(), durable=False
        )
        for session_id, has_ended, clients in holders:
            # Without a key it is not known whether the client runs.
            is_dead = bool(clients) and not any(processes.is_alive(key) for key in clients)
            if has_ended or is_dead:
                await self._release_all(session_id)

    async def _release_all(self, session_id: str) -> None:
        unproved = await self._ledger.run(
            lambda transaction: transaction.shown.unproved(session_id), durable=False
        )
        await self.release(session_id, [each.lease for each in unproved])
