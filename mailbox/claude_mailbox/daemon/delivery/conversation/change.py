"""What a job of the ledger changed, for those who have to be told after the commit."""

from dataclasses import dataclass, field

from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.mail import Delivery


@dataclass(slots=True)
class Change:
    """A job's transaction, and what ``Broker.publish`` announces once it is committed.

    Attributes:
        transaction: the job's.
        now: milliseconds since the epoch.
        askers: callers that wait for answers.
        mailboxes: those whose waiters or bells are called.
        answers: leased answers and notices, by the number of the question.
        messages: numbers of messages that changed their state or were replied to.
    """

    transaction: Transaction
    now: int
    askers: Askers
    mailboxes: set[str] = field(default_factory=set)
    answers: dict[int, Delivery] = field(default_factory=dict)
    messages: set[int] = field(default_factory=set)

    def note_mail(self, mailbox: str, *, quiet: bool) -> None:
        """Note that mail waits in *mailbox*; *quiet* mail wakes nobody."""
        if not quiet:
            self.mailboxes.add(mailbox)

    def lease_answer(self, question: int) -> bool:
        """Lease what ended a question for its asker; return False if it has none."""
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
