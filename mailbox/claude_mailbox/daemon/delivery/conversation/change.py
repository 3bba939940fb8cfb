"""A job of the ledger that changes more than one thing: its transaction, and what it has to tell."""

from dataclasses import dataclass, field

from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.mail import Delivery


@dataclass(slots=True)
class Change:
    """One such job. What it has to tell is told once it is committed.

    Attributes:
        transaction: what it works in.
        now: milliseconds since the epoch.
        askers: who waits for answers in their requests.
        mailboxes: names of those with mail that wakes somebody.
        answers: by question, what was leased for the asker who waits for it.
        messages: numbers of messages whose state changed, or that were replied to.
    """

    transaction: Transaction
    now: int
    askers: Askers
    mailboxes: set[str] = field(default_factory=set)
    answers: dict[int, Delivery] = field(default_factory=dict)
    messages: set[int] = field(default_factory=set)

    def note_mail(self, mailbox: str, *, quiet: bool) -> None:
        """Note that mail waits in *mailbox*, which wakes somebody unless it is *quiet*."""
        if not quiet:
            self.mailboxes.add(mailbox)

    def lease_answer(self, question: int) -> bool:
        """Lease what ended a question for its asker, if he waits for it; return whether he does."""
        asker = self.askers.find(question)
        if asker is None:
            return False
        until = asker.lease_until(self.now)
        delivery = self.transaction.conversation.claim_answer(
            question, lease_until=until, by=asker.by
        )
        if delivery is None:
            return False
        self.answers[question] = delivery
        return True
