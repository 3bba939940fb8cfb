"""Askers: requests that send a question and wait for its answer.

The job that stores the answer leases it for the asker, so that it is delivered in that response and
nowhere else. So the asker is registered before its question can be seen. If it has left when the
answer comes, the lease is released and the answer waits in its mailbox.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from claude_mailbox.daemon.delivery.parties.custody import Custodian
from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.mail import Delivery


class Asker:
    """One request that waits for an answer.

    Attributes:
        custodian: becomes responsible for the answer's lease.
        by: how the answer is delivered, as its receipt says.
        waiter: called when the question has ended.
        delivery: the answer, or the notice that there will be none; None until then.
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
    """All askers, by the number of their question. Synchronous, no I/O.

    When a client repeats a question, several askers wait for it; the last one gets the answer.
    """

    def __init__(self) -> None:
        self._askers: dict[int, list[Asker]] = {}
        self._closed: MailboxError | None = None

    def __repr__(self) -> str:
        return f"<Askers: {len(self._askers)} questions>"

    def __contains__(self, question: int) -> bool:
        return question in self._askers

    def questions(self) -> list[int]:
        """Return the questions that have an asker."""
        return list(self._askers)

    def find(self, question: int) -> Asker | None:
        """Return the asker of a question, or None; may be called within a job."""
        askers = self._askers.get(question)
        return askers[-1] if askers else None

    def expect(self, question: int, asker: Asker) -> None:
        """Register *asker*; called within the job that stores the question.

        Raises:
            ShuttingDown: if the daemon stops.
        """
        if self._closed is not None:
            raise self._closed
        self._askers.setdefault(question, []).append(asker)

    @contextmanager
    def joined(self, custodian: Custodian, by: str) -> Iterator[Asker]:
        """Return a new asker, which is removed at the end of the ``with`` block."""
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
        """Give an asker the delivery that was leased for it; return whether it is still there."""
        askers = self._askers.pop(question, None)
        if askers is None:
            return False
        askers[-1].custodian.take([delivery.lease])
        askers[-1].delivery = delivery
        for asker in askers:
            asker.waiter.call()
        return True

    def close(self, reason: MailboxError) -> None:
        """Make all askers raise *reason*, now and later."""
        self._closed = reason
        for askers in self._askers.values():
            for asker in askers:
                asker.waiter.dismiss(reason)
