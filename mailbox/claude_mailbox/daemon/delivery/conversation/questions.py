"""Questions: each ends in exactly one way, and the asker is always told.

::

             +-----> ANSWERED        by a final reply from the asked mailbox to the asker
             |
    OPEN ----+-----> TIMED_OUT       a notice says so at once
             |
             +-----> UNANSWERABLE    a notice says so within seconds: the asked session has ended, or
                                     it saw the question, finished its turn and was idle for a
                                     minute; its mailbox was deleted; or the question expired or was
                                     parked before it was delivered

The outcome is written in the same transaction as the reply or the notice. A later reply is a
message like others.
"""

from collections.abc import Callable

from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.model.conversations import TIMED_OUT, UNANSWERABLE, OpenQuestion
from claude_mailbox.model.mail import Receipt
from claude_mailbox.refusals import MutualAsk, Unanswerable

# A session that saw the question and has been idle for so long will not answer.
IDLE_MILLISECONDS = 60_000
# A session that was cleared or resumed is back within this time.
ENDED_MILLISECONDS = 10_000


def why_unanswerable(
    question: OpenQuestion, now: int, is_alive: Callable[[str], bool]
) -> str | None:
    """Return the reason why no answer will come, or None."""
    if question.is_deleted:
        return "that mailbox was deleted"
    if question.state is None:
        return None
    if question.ended_at is not None:
        has_ended = now - question.ended_at >= ENDED_MILLISECONDS
        return "its session has ended" if has_ended else None
    if question.clients and not any(is_alive(key) for key in question.clients):
        return "its session has ended"
    if question.seen_at is None or question.state != "idle" or question.since is None:
        return None
    if now - max(question.seen_at, question.since) >= IDLE_MILLISECONDS:
        return "it has seen the question, finished its turn and has been idle for a minute"
    return None


def check_answerable(receipt: Receipt, *, has_ended: bool) -> None:
    """Check that somebody may answer a question.

    Args:
        receipt: the question's.
        has_ended: whether the session of the asked mailbox has ended.

    Raises:
        Unanswerable: if nobody can.
    """
    if receipt.recipient == receipt.sender:
        raise Unanswerable("You cannot ask yourself: leave 'ask' out, or ask another mailbox.")
    if has_ended and not receipt.watching:
        raise Unanswerable(
            f"The session of '{receipt.recipient}' has ended, so it cannot answer: leave 'ask' out,"
            " and the message waits for it."
        )


def check_not_mutual(change: Change, receipt: Receipt) -> None:
    """Check that the asked mailbox does not wait for an answer from the asker.

    Raises:
        MutualAsk: if it does.
    """
    asker, asked = receipt.sender, receipt.recipient
    for number in change.transaction.conversation.questions_between(asked, asker):
        if number in change.askers:
            raise MutualAsk(
                f"'{asked}' waits for an answer of yours to message {number}: reply to that first,"
                " or ask without waiting."
            )


def close_overdue(change: Change) -> None:
    """End the questions whose deadline has passed."""
    for question in change.transaction.conversation.open_questions():
        if question.answer_by <= change.now:
            number, seconds = question.number, (question.answer_by - question.asked_at) / 1000
            span = "1 second" if seconds == 1 else f"{seconds:.15g} seconds"
            sentence = (
                f"Your question {number} to '{question.asked}' was not answered within {span}. A"
                " late answer still comes, as a reply."
            )
            close(change, number, TIMED_OUT, sentence)


def close_hopeless(change: Change, is_alive: Callable[[str], bool]) -> bool:
    """End the questions that nobody will answer; return whether any are still open."""
    are_open = False
    for question in change.transaction.conversation.open_questions():
        reason = why_unanswerable(question, change.now, is_alive)
        if reason is None:
            are_open = True
        else:
            number = question.number
            sentence = (
                f"Your question {number} to '{question.asked}' will not be answered: {reason}."
            )
            close(change, number, UNANSWERABLE, sentence)
    return are_open


def close(change: Change, question: int, outcome: str, sentence: str) -> None:
    """End a question without an answer, and notify its asker."""
    conversation = change.transaction.conversation
    conversation.close(question, outcome)
    change.messages.add(question)
    notice = conversation.notify(question, outcome, sentence, change.now)
    if notice is not None and not change.lease_answer(question):
        change.note_mail(notice.recipient, quiet=notice.is_quiet)
