"""The broker: everything that can be done with mail, without HTTP and SQL.

A caller that takes messages passes a custodian, which is responsible for their leases until it is
known whether they arrived (see edge/output/handover.py).
"""

from collections.abc import Callable, Iterable

import trio

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.bells.doorbell import Bell
from claude_mailbox.daemon.delivery.conversation.askers import Asker, Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.parking import Parking
from claude_mailbox.daemon.delivery.conversation.sending import ask
from claude_mailbox.daemon.delivery.conversation.unanswered import Unanswered
from claude_mailbox.daemon.delivery.leasing.claims import Claims
from claude_mailbox.daemon.delivery.leasing.expiry import Expiry
from claude_mailbox.daemon.delivery.leasing.leases import Leases
from claude_mailbox.daemon.delivery.leasing.receipts import Receipts
from claude_mailbox.daemon.delivery.mailboxes import Mailboxes
from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.parties.custody import Custodian
from claude_mailbox.daemon.delivery.parties.notifier import Notifier, NullNotifier
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import Waiter, WaiterLines
from claude_mailbox.daemon.delivery.sending.groups import Groups
from claude_mailbox.daemon.delivery.sending.holding import Holding
from claude_mailbox.daemon.delivery.sending.limits import SessionsByMailbox
from claude_mailbox.daemon.delivery.sending.storing import Sending
from claude_mailbox.daemon.delivery.views.history import History
from claude_mailbox.daemon.delivery.views.listings import Listings, find_session
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import (
    CHECK_LIMIT,
    Backlog,
    Claim,
    Delivery,
    GroupReceipt,
    Receipt,
    shown_characters,
)
from claude_mailbox.refusals import DatabaseAway, OutcomeUnknown

# A send of a longer text does not count as a brief job of the ledger.
BRIEF_CHARACTERS = 64 * 1024
# How often a watch retries while the database is away.
_AWAY_SECONDS = 1.0


class Broker:
    """Sends, delivers and describes mail. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where mail is kept.
        lines: who waits for it.
        presence: who was seen.
        config: limits and ages.
        clock: returns the time in milliseconds since the epoch.
        bell: told of mail that no waiter takes.
        notifier: tells other daemons on the same database.
    """

    def __init__(
        self,
        ledger: Ledger,
        lines: WaiterLines,
        presence: Presence,
        config: Config,
        clock: Callable[[], int],
        bell: Bell,
        notifier: Notifier | None = None,
    ) -> None:
        self._ledger = ledger
        self._lines = lines
        self._config = config
        self._clock = clock
        self._bell = bell
        self._notifier = notifier or NullNotifier()
        self.presence = presence
        self.askers = Askers()
        self.expiry = Expiry(ledger, clock, self.announce, self.askers, self.publish)
        self.receipts = Receipts(self.expiry, clock)
        self.unanswered = Unanswered(ledger, clock, self.askers, self.publish)
        self.parking = Parking(ledger, clock, self.announce)
        self.holding = Holding(ledger, clock, self.askers, self.publish)
        self.history = History(ledger, self.expiry, clock)
        self.listings = Listings(ledger, lines, presence, config, clock)
        self.groups = Groups(ledger, presence, clock, config.max_recipients)
        self.changes = Changes()
        self.leases = Leases(ledger, clock, self.expiry, self.receipts, self.changes, self.announce)
        self.mailboxes = Mailboxes(
            ledger, lines, presence, clock, self._notifier, self.changes, self.announce, self.user
        )
        self._claims = Claims(
            self.expiry,
            self.leases,
            presence,
            self.changes,
            self.askers,
            bell,
            clock,
            self.publish,
            config.max_attempts,
        )
        self._sending = Sending(config, self.groups, self._look_up_presence)

    def __repr__(self) -> str:
        return f"<Broker: {self._lines!r}, {self._ledger!r}>"

    @property
    def user(self) -> str:
        """Name of the mailbox of the person at this machine."""
        return self._config.user_mailbox

    @property
    def max_body_bytes(self) -> int:
        """Limit of one message, in bytes of UTF-8."""
        return self._config.max_body_bytes

    def announce(self, mailboxes: Iterable[str]) -> None:
        """Wake the first waiter of each mailbox, or ring where nobody waits."""
        for name in mailboxes:
            if not self._lines.call_front(name):
                self._bell.ring(name)
                self._notifier.note_mail(name)

    async def publish(self, change: Change) -> None:
        """Wake those whom a committed change concerns; hand answers to their askers."""
        self.changes.note()
        self.announce(change.mailboxes)
        self.receipts.changed(change.messages)
        if not change.answers:
            return
        lost = [
            delivery.lease
            for question, delivery in change.answers.items()
            if not self.askers.hand_over(question, delivery)
        ]
        if lost:
            # Their askers left in between. Shielded, or a cancelled caller would keep the leases.
            with trio.CancelScope(shield=True):
                await self.leases.release_abandoned(lost)

    async def look_for_answers(self) -> None:
        """Lease answers that another daemon stored for askers who wait here."""
        questions = self.askers.questions()
        if not questions:
            return
        now = self._clock()

        def job(transaction: Transaction) -> Change:
            change = Change(transaction, now, self.askers)
            for question in questions:
                change.lease_answer(question)
            return change

        await self.publish(await self._ledger.run(job, durable=False))

    async def send(self, draft: Draft, asker: Asker | None = None) -> Receipt:
        """Store a message durably, then wake its receiver.

        Args:
            draft: the message.
            asker: waits for the answer from before the question can be seen.

        Raises:
            QuotaFull: if the mailbox is full, or gets too many messages from this sender.
            NotFound: if it replies to a message that its sender has neither sent nor got, or if it
                is strict and nobody has used the mailbox.
            Unanswerable: if the question cannot be answered, or the reply would be read by nobody.
            MutualAsk: if two would wait for each other's answer.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Receipt, SessionsByMailbox, Change]:
            change = Change(transaction, now, self.askers)
            receipt, sessions = self._sending.store(change, draft)
            if draft.ask is not None:
                session = find_session(sessions, receipt.recipient)
                has_ended = session is not None and session.state == "ended"
                ask(change, receipt, asker, has_ended=has_ended)
            return receipt, sessions, change

        receipt, sessions, change = await self._ledger.run(
            job, brief=len(draft.body) <= BRIEF_CHARACTERS
        )
        await self._stored(draft, now, change, receipt)
        if sessions:
            receipt.session = find_session(sessions, receipt.recipient)
        return receipt

    async def send_to_group(self, draft: Draft) -> GroupReceipt | Receipt:
        """Store a copy for each member of a group in one transaction, then wake them.

        Returns:
            A `Receipt` if a mailbox has that name, which older versions allowed.

        Raises:
            QuotaFull: as for ``send``, for any member; then none gets it.
            EmptyGroup: if the group has no member but the sender.
            ConfirmationNeeded: if it has many, and the draft does not confirm that.
            BadRequest: if it has too many, or the message is a question.
        """
        now = self._clock()

        def job(
            transaction: Transaction,
        ) -> tuple[GroupReceipt | Receipt, SessionsByMailbox, Change]:
            change = Change(transaction, now, self.askers)
            return *self._sending.distribute(change, draft), change

        answer, sessions, change = await self._ledger.run(job)
        await self._stored(draft, now, change, answer)
        for copy in [answer] if isinstance(answer, Receipt) else answer.copies:
            copy.session = find_session(sessions, copy.recipient)
        return answer

    async def _stored(
        self, draft: Draft, now: int, change: Change, receipt: GroupReceipt | Receipt
    ) -> None:
        """Do what follows the commit of a send."""
        self.presence.note(receipt.sender)
        if not receipt.duplicate:
            self.history.note()
            for seconds in (draft.delay, draft.ttl, draft.ask):
                if seconds is not None:
                    self.expiry.note(now + round(seconds * 1000))
        if draft.ask is not None:
            self.unanswered.note()
        await self.publish(change)

    async def ask(
        self, draft: Draft, seconds: float, custodian: Custodian, *, by: str = "watch"
    ) -> tuple[Receipt, Delivery | None]:
        """Send a question, and wait for up to *seconds* for its answer.

        *by* says in the answer's receipt how it was delivered.

        Returns:
            The receipt; and the answer, or the notice that there will be none. None in its place if
            the question is still open, or had ended before.

        Raises:
            MailboxError: see ``send``.
            ShuttingDown: if the daemon stops.
        """
        deadline = trio.current_time() + seconds
        with self.askers.joined(custodian, by) as asker:
            receipt = await self.send(draft, asker)
            if not asker.is_too_late and not asker.waiter.is_called:
                with trio.move_on_at(deadline):
                    await custodian.attend(asker.waiter)
            if asker.waiter.is_called:
                await asker.waiter.turn()
            until = asker.lease_until(self._clock())
            if asker.delivery is not None and until is not None:
                self.expiry.note(until)
            return receipt, asker.delivery

    def _look_up_presence(self, name: str) -> tuple[int | None, bool]:
        """Return when a mailbox was last seen, as far as memory knows, and whether it is watched.

        Called within a job, perhaps on the ledger's thread, so it only reads two dicts.
        """
        return self.presence.last_seen(name), self._lines.count(name) > 0

    async def check(
        self,
        name: str,
        custodian: Custodian,
        *,
        limit: int = CHECK_LIMIT,
        max_characters: int | None = None,
        measure: Callable[[Delivery], int] = shown_characters,
        at_least_one: bool = True,
        by: str = "check",
        thread: int | None = None,
    ) -> Claim:
        """Lease waiting messages, oldest first: at most *limit* messages or 8 MiB.

        Args:
            name: the mailbox.
            custodian: becomes responsible for the leases.
            limit: most messages.
            max_characters: most characters, as *measure* counts them; None for no limit.
            measure: returns the size of a message in characters.
            at_least_one: take the first message even if it is larger than *max_characters*.
            by: how they are delivered, as their receipts say.
            thread: take messages of this thread alone.
        """
        return await self._claims.take(
            name,
            custodian,
            limit,
            by,
            max_characters=max_characters,
            measure=measure,
            at_least_one=at_least_one,
            thread=thread,
        )

    async def watch(
        self,
        name: str,
        seconds: float,
        custodian: Custodian,
        *,
        limit: int = 1,
        by: str = "watch",
    ) -> Claim | None:
        """Wait for up to *seconds* for mail; lease at most *limit* messages.

        *by* says in their receipts how they were delivered.

        Returns:
            The claim, or None if no mail came in time or the client has gone.

        Raises:
            Renamed: if the mailbox has, or gets, another name.
            QuotaFull: if too many wait there.
            ShuttingDown: if the daemon stops.
        """
        deadline = trio.current_time() + seconds
        has_more = False
        try:
            with self._lines.join(name) as waiter:
                while True:
                    if not waiter.is_called:
                        with trio.move_on_at(deadline):
                            await custodian.attend(waiter)
                        if not waiter.is_called:
                            return None
                    await waiter.turn()
                    has_more = True
                    try:
                        claim = await self._claims.take(
                            name, custodian, limit, by, present_name_only=True
                        )
                    except (DatabaseAway, OutcomeUnknown):
                        if trio.current_time() >= deadline or await _leaves(custodian, waiter):
                            return None
                        continue
                    has_more = claim.remaining > 0
                    if claim.deliveries:
                        return claim
        finally:
            # Mail that came while this waiter was first in line rang nobody; some may be left.
            if not self._lines.count(name):
                self._bell.ring(name)
                if has_more:
                    self._notifier.note_mail(name)

    async def peek(self, name: str) -> Backlog:
        """Count what waits, without touching it."""
        return await self.expiry.run_after(
            self._clock(), lambda transaction: transaction.mail.peek(name)
        )


async def _leaves(custodian: Custodian, waiter: Waiter) -> bool:
    """Wait a moment for the database to come back; return whether the client left meanwhile."""
    with trio.move_on_after(_AWAY_SECONDS) as pause:
        await custodian.attend(waiter)
    if not (pause.cancelled_caught or waiter.is_called):
        return True
    waiter.call()
    return False
