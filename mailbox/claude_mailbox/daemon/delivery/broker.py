"""The broker: the verbs of the domain, which join the ledger and the waiters.

Whoever takes messages out brings a custodian along, which answers for them until it is known
whether they arrived (see handover.py).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import trio

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.changes import Changes
from claude_mailbox.daemon.delivery.conversation import parking
from claude_mailbox.daemon.delivery.conversation.answers import Answers, Asker
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.conversation.parking import Parking
from claude_mailbox.daemon.delivery.conversation.sending import ask
from claude_mailbox.daemon.delivery.conversation.unanswered import Unanswered
from claude_mailbox.daemon.delivery.custody import Custodian, Follower
from claude_mailbox.daemon.delivery.expiry import Expiry
from claude_mailbox.daemon.delivery.groups import Groups
from claude_mailbox.daemon.delivery.history import History
from claude_mailbox.daemon.delivery.holding import Holding
from claude_mailbox.daemon.delivery.limits import Sessions
from claude_mailbox.daemon.delivery.peers import NoPeers, Peers
from claude_mailbox.daemon.delivery.presence import Presence
from claude_mailbox.daemon.delivery.receipts import Receipts
from claude_mailbox.daemon.delivery.sending import Sending
from claude_mailbox.daemon.delivery.sessions import processes
from claude_mailbox.daemon.delivery.sessions.doorbell import Bell
from claude_mailbox.daemon.delivery.waiters import Waiter, WaiterLines
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import BadRequest, DatabaseAway, MailboxError, OutcomeUnknown, Renamed
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import (
    CHECK_BYTES,
    CHECK_LIMIT,
    Backlog,
    Claim,
    Delivery,
    GroupReceipt,
    LeaseOutcome,
    Listing,
    Receipt,
    Rename,
    shown_characters,
)
from claude_mailbox.model.names import USER
from claude_mailbox.model.sessions import SessionFacts

logger = logging.getLogger(__name__)

MINUTE = 60_000

# What a brief job of the ledger may have to do at most.
BRIEF_CHARACTERS = 64 * 1024
BRIEF_TOKENS = 256
# How many claims of megabytes may be on their way at once: until they reach the server, nothing
# else bounds the memory that they take.
LARGE_CLAIMS = 4
# How often a watch looks whether the database is back.
_AWAY_SECONDS = 1.0


class Broker:
    """All that can be done with mail. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where mail is kept.
        lines: who waits for it.
        presence: who was seen.
        config: limits and ages.
        clock: returns the time in milliseconds since the epoch.
        bell: told of mail that no waiter takes.
        peers: other daemons on the same database.
    """

    def __init__(
        self,
        ledger: Ledger,
        lines: WaiterLines,
        presence: Presence,
        config: Config,
        clock: Callable[[], int],
        bell: Bell,
        peers: Peers | None = None,
    ) -> None:
        self._ledger = ledger
        self._lines = lines
        self._config = config
        self._clock = clock
        self._bell = bell
        self._peers = peers or NoPeers()
        self._followers: set[Follower] = set()
        self._given_back: set[str] = set()
        self._large_claims = trio.Semaphore(LARGE_CLAIMS)
        self.presence = presence
        self.askers = Answers()
        self.expiry = Expiry(ledger, clock, self.announce, self.askers, self.tell)
        self.receipts = Receipts(self.expiry, clock)
        self.unanswered = Unanswered(ledger, clock, self.askers, self.tell)
        self.parking = Parking(ledger, clock, self.announce)
        self.holding = Holding(ledger, clock, self.askers, self.tell)
        self.history = History(ledger, self.expiry, clock)
        self.groups = Groups(ledger, presence, clock, config.max_recipients)
        self._sending = Sending(config, self.groups, self._look_up_presence)
        self.changes = Changes()

    def __repr__(self) -> str:
        return f"<Broker: {self._lines!r}, {self._ledger!r}>"

    @property
    def max_body_bytes(self) -> int:
        """Limit of one message, in bytes of UTF-8."""
        return self._config.max_body_bytes

    def announce(self, mailboxes: Iterable[str]) -> None:
        """Say that mail waits in *mailboxes*: wake the first waiter of each, or ring."""
        for name in mailboxes:
            if not self._lines.call_front(name):
                self._bell.ring(name)
                self._peers.note_mail(name)

    async def tell(self, change: Change) -> None:
        """Say what a committed job has to tell."""
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
            # The asker left in between; whoever is cancelled now still has to say so.
            with trio.CancelScope(shield=True):
                await self.give_back(lost)

    async def look_for_answers(self) -> None:
        """Lease for the askers who wait what another daemon has stored for them."""
        questions = self.askers.questions()
        if not questions:
            return
        now = self._clock()

        def job(transaction: Transaction) -> Change:
            change = Change(transaction, now, self.askers)
            for question in questions:
                change.lease_answer(question)
            return change

        await self.tell(await self._ledger.run(job, durable=False))

    async def send(self, draft: Draft, asker: Asker | None = None) -> Receipt:
        """Store a message durably, then wake its receiver; *asker* waits for the answer from then on.

        Raises:
            QuotaFull: if the mailbox is full, or gets too many messages from this sender.
            NotFound: if it replies to a message that its sender has neither sent nor got, or if it
                is strict and nobody has used the mailbox.
            Unanswerable: if nobody can answer it, or read it.
            MutualAsk: if two would wait for each other's answer.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[Receipt, Sessions, Change]:
            change = Change(transaction, now, self.askers)
            receipt, sessions = self._sending.store(change, draft)
            if draft.ask is not None:
                session = _living(sessions, receipt.recipient)
                has_ended = session is not None and session.state == "ended"
                ask(change, receipt, asker, has_ended=has_ended)
            return receipt, sessions, change

        receipt, sessions, change = await self._ledger.run(
            job, brief=len(draft.body) <= BRIEF_CHARACTERS
        )
        await self._stored(draft, now, change, receipt)
        if not sessions:
            return receipt
        return replace(receipt, session=_living(sessions, receipt.recipient))

    async def send_to_group(self, draft: Draft) -> GroupReceipt | Receipt:
        """Store a copy for each member of a group in one transaction, then wake them.

        Returns:
            A `Receipt` if there is a mailbox of that name: older versions made such.

        Raises:
            QuotaFull: as for ``send``, for any of them; then nobody gets it.
            EmptyGroup: if nobody would get it.
            ConfirmationNeeded: if there are many, and the draft does not say that this is meant.
            BadRequest: if there are too many, or if it is a question.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[GroupReceipt | Receipt, Sessions, Change]:
            change = Change(transaction, now, self.askers)
            return *self._sending.distribute(change, draft), change

        answer, sessions, change = await self._ledger.run(job)
        await self._stored(draft, now, change, answer)
        if isinstance(answer, Receipt):
            return replace(answer, session=_living(sessions, answer.recipient))
        copies = [
            replace(copy, session=_living(sessions, copy.recipient)) for copy in answer.copies
        ]
        return replace(answer, copies=copies)

    async def _stored(
        self, draft: Draft, now: int, change: Change, receipt: GroupReceipt | Receipt
    ) -> None:
        """Say what there is to say after the commit of a send."""
        self.presence.note(receipt.sender)
        if not receipt.duplicate:
            self.history.note()
            for seconds in (draft.delay, draft.ttl, draft.ask):
                if seconds is not None:
                    self.expiry.note(now + round(seconds * 1000))
        if draft.ask is not None:
            self.unanswered.note()
        await self.tell(change)

    async def ask(
        self, draft: Draft, seconds: float, custodian: Custodian, *, by: str = "watch"
    ) -> tuple[Receipt, Delivery | None]:
        """Send a question, and wait for up to *seconds* for what ends it.

        *by* is the way that this goes, which its receipt tells.

        Returns:
            The receipt; and the answer, or the notice that there is none, or None if the question
            is open still, or ended before.

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
        """Say of a mailbox when it was seen last, as memory knows, and whether it is watched.

        Called within the job, perhaps on the ledger's thread: two look-ups in dicts, no more.
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
        """Lease what waits, or waits of a *thread*, oldest first: at most *limit* messages or 8 MiB.

        With *max_characters*, stop there, as *measure* counts; with *at_least_one*, not before the
        first message. *by* is the way that they go, which their receipts tell.
        """
        return await self._claim(
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
        """Wait for up to *seconds* for mail; lease at most *limit* messages of it.

        *by* is the way that they go, which their receipts tell.

        Returns:
            The claim, or None when the time is over or the client has gone.

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
                        claim = await self._claim(
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
            # Mail that counted on this waiter may be left: it took one message of many, or none.
            if not self._lines.count(name):
                self._bell.ring(name)
                if has_more:
                    self._peers.note_mail(name)

    async def _claim(
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
        now = self._clock()
        seconds = custodian.lease_seconds
        until = None if seconds is None else now + round(seconds * 1000)
        self._bell.looking(name)

        def job(
            transaction: Transaction,
        ) -> tuple[Claim, Change | None, tuple[Sequence[str], Sequence[str]] | None]:
            given_back = self._release_first(transaction) if self._given_back else None
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
                max_attempts=self._config.max_attempts,
                thread=thread,
            )
            if not claim.worn:
                return claim, None, given_back
            change = Change(transaction, now, self.askers)
            for number in claim.worn:
                parking.park(change, number)
            return claim, change, given_back

        # A lease is never half made: either the ledger was not asked, or its custodian knows the
        # tokens. From the answer to ``take`` there is nothing that could be cancelled.
        is_brief = limit == 1 or max_characters is not None
        if is_brief:
            claim, change, given_back = await self.expiry.run_after(now, job)
        else:
            # It may read megabytes.
            async with self._large_claims:
                claim, change, given_back = await self.expiry.run_after(now, job, brief=False)
        self._bell.looked(claim.mailbox)
        self.presence.note(claim.mailbox)
        if claim.deliveries:
            custodian.take([delivery.lease for delivery in claim.deliveries])
            self.changes.note()
            if until is not None:
                self.expiry.note(until)
        if given_back is not None:
            tokens, mailboxes = given_back
            self._given_back.difference_update(tokens)
            self.announce(mailboxes)
        if change is not None:
            await self.tell(change)
        return claim

    def _release_first(self, transaction: Transaction) -> tuple[Sequence[str], Sequence[str]]:
        """Release what was given back; return the tokens, and the mailboxes that got some."""
        tokens = tuple(self._given_back)
        return tokens, transaction.leases.release(tokens)[1]

    async def peek(self, name: str) -> Backlog:
        """Count what waits, without touching it."""
        return await self.expiry.run_after(
            self._clock(), lambda transaction: transaction.mail.peek(name)
        )

    async def list_mailboxes(
        self, caller: str | None = None, *, show_all: bool = False
    ) -> list[tuple[Listing, bool]]:
        """Return the mailboxes that are not hidden, each with whether somebody watches it."""
        age = 0 if show_all else self._config.hide_after_minutes * MINUTE
        seen_since = self._clock() - age if age else 0
        watched = self._lines.watched()
        seen = self.presence.take()

        def job(transaction: Transaction) -> tuple[list[Listing], Sessions]:
            transaction.mailboxes.mark_seen(seen)
            listings = transaction.mailboxes.listings(caller, seen_since, watched)
            return listings, transaction.shown.facts()

        try:
            listings, sessions = await self._ledger.run(job, durable=False)
        except BaseException:
            self.presence.restore(seen)
            raise
        return [
            (
                replace(listing, session=_living(sessions, listing.name)),
                self._lines.count(listing.name) > 0,
            )
            for listing in listings
        ]

    async def rename(self, current: str, to: str) -> Rename:
        """Give a mailbox a new name; its mail comes along, its waiters leave with ``Renamed``.

        Raises:
            NotFound: if there is no such mailbox.
            TargetExists: if the new name is taken.
            BadRequest: if it is the present one.
        """
        if USER in {current, to}:
            raise BadRequest(
                f"'{USER}' is the name of the mailbox of the person at this machine, and stays so."
            )
        now = self._clock()
        renamed = await self._ledger.run(
            lambda transaction: transaction.mailboxes.rename(current, to, now)
        )
        self.presence.forget_names()
        self.presence.note(renamed.new)
        for name in {renamed.old, current}:
            self._lines.dismiss(name, Renamed(name, renamed.new))
        self._peers.note_rename(renamed.old, renamed.new)
        self.changes.note()
        if renamed.transferred:
            self.announce([renamed.new])
        return renamed

    async def describe(self, name: str, text: str | None) -> None:
        """Let a mailbox say what it is for, None for nothing any more."""
        now = self._clock()
        await self._ledger.run(
            lambda transaction: transaction.mailboxes.describe(name, text, now), brief=True
        )

    async def delete(self, name: str) -> bool:
        """Delete a mailbox if nothing pends in either direction; return whether that was done."""
        deleted = await self._ledger.run(lambda transaction: transaction.mailboxes.delete(name))
        self.presence.forget_names()
        self._peers.note_other()
        return deleted

    async def ack(self, tokens: Sequence[str], mailbox: str | None = None) -> LeaseOutcome:
        """Mark leased messages delivered, for good; with *mailbox*, only those of that mailbox."""
        now = self._clock()
        outcome = await self._ledger.run(
            lambda transaction: transaction.leases.settle(tokens, now, mailbox),
            brief=len(tokens) <= BRIEF_TOKENS,
        )
        self._tell_followers(tokens)
        self.receipts.settled(outcome.done)
        self.changes.note()
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
            brief=len(tokens) <= BRIEF_TOKENS,
        )
        self.receipts.settled(outcome.done)
        self.changes.note()
        return outcome

    async def release(self, tokens: Sequence[str], mailbox: str | None = None) -> LeaseOutcome:
        """Put leased messages back in their places, and wake who waits for them."""
        outcome, mailboxes = await self._ledger.run(
            lambda transaction: transaction.leases.release(tokens, mailbox),
            durable=False,
            brief=len(tokens) <= BRIEF_TOKENS,
        )
        self._tell_followers(tokens)
        self.changes.note()
        self.announce(mailboxes)
        return outcome

    async def give_back(self, tokens: Sequence[str]) -> None:
        """Release the leases of a client that has gone.

        If that cannot be done now, the next claim does it first: otherwise later messages would
        overtake these.
        """
        self._given_back.update(tokens)
        try:
            await self.release(tokens)
        except MailboxError as error:
            logger.warning("could not release: %s", error)
        else:
            self._given_back.difference_update(tokens)

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
        self.expiry.note(until)
        return outcome


async def _leaves(custodian: Custodian, waiter: Waiter) -> bool:
    """Wait a moment for the database to come back; return whether the client left meanwhile."""
    with trio.move_on_after(_AWAY_SECONDS) as pause:
        await custodian.attend(waiter)
    if not (pause.cancelled_caught or waiter.is_called):
        return True
    waiter.call()
    return False


def _living(sessions: Sessions, mailbox: str) -> SessionFacts | None:
    """Return the session of a mailbox; one whose client was killed has ended."""
    if mailbox not in sessions:
        return None
    facts, clients = sessions[mailbox]
    if clients and not any(processes.is_alive(key) for key in clients):
        return replace(facts, state="ended", has_bell=False)
    return facts
