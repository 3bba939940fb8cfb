"""Askers who wait for the answer in the very request that asks.

The answer is handed over in that response, and nowhere else: the job that stores it leases it for
whoever waits at that moment. So the asker stands here before his question can be seen, and what
was leased for one who has left meanwhile goes back to his mailbox.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from claude_mailbox.daemon.delivery.parties.custody import Custodian
from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import Delivery


class Asker:
    """Somebody who waits for an answer.

    Attributes:
        custodian: answers for it on its way out.
        by: the way that it goes, which its receipt tells.
        waiter: is called when the question has ended.
        delivery: the answer, or the notice that there is none; None as long as there is neither.
        is_too_late: whether the question had ended before.
    """

    __slots__ = ("by", "custodian", "delivery", "is_too_late", "waiter")

    def __init__(self, custodian: Custodian, by: str) -> None:
        self.custodian = custodian
        self.by = by
        self.waiter = Waiter("an answer")
        self.delivery: Delivery | None = None
        self.is_too_late = False

    def lease_until(self, now: int) -> int | None:
        """Return the end of an explicit lease, or None for one bound to the connection."""
        seconds = self.custodian.lease_seconds
        return None if seconds is None else now + round(seconds * 1000)


class Askers:
    """All who wait for answers, by the number of the question. Synchronous, no I/O.

    Of several who wait for the same one, because a client asked again, the last gets the answer.
    """

    def __init__(self) -> None:
        self._askers: dict[int, list[Asker]] = {}
        self._closed: MailboxError | None = None

    def __repr__(self) -> str:
        return f"<Askers: {len(self._askers)} questions>"

    def __contains__(self, question: int) -> bool:
        return question in self._askers

    def questions(self) -> list[int]:
        """Return the questions whose askers wait."""
        return list(self._askers)

    def find(self, question: int) -> Asker | None:
        """Return who waits for the answer to a question; also from within a job."""
        askers = self._askers.get(question)
        return askers[-1] if askers else None

    def expect(self, question: int, asker: Asker) -> None:
        """Let *asker* wait; called within the job that stores the question.

        Raises:
            MailboxError: if the daemon stops.
        """
        if self._closed is not None:
            raise self._closed
        self._askers.setdefault(question, []).append(asker)

    @contextmanager
    def joined(self, custodian: Custodian, by: str) -> Iterator[Asker]:
        """Make an asker, who leaves at the end of the ``with`` block."""
        asker = Asker(custodian, by)
        try:
            yield asker
        finally:
            for question, askers in list(self._askers.items()):
                if asker in askers:
                    askers.remove(asker)
                    if not askers:
                        del self._askers[question]

    def hand_over(self, question: int, delivery: Delivery) -> bool:
        """Give what was leased for the asker to him; return whether he is still there."""
        askers = self._askers.pop(question, None)
        if askers is None:
            return False
        askers[-1].custodian.take([delivery.lease])
        askers[-1].delivery = delivery
        for asker in askers:
            asker.waiter.call()
        return True

    def close(self, reason: MailboxError) -> None:
        """Send everybody away with *reason*, newcomers too."""
        self._closed = reason
        for askers in self._askers.values():
            for asker in askers:
                asker.waiter.dismiss(reason)
