"""What a send does besides storing the message: replies, questions and answers."""

from dataclasses import replace

from claude_mailbox.daemon.delivery.conversation import questions
from claude_mailbox.daemon.delivery.conversation.askers import Asker
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Receipt
from claude_mailbox.refusals import NotFound, Unanswerable


def address(change: Change, draft: Draft, number: int) -> tuple[int, Draft]:
    """Address a reply to message *number*; return its thread and the addressed draft.

    Raises:
        NotFound: if the sender has neither sent nor got that message.
        Unanswerable: if it is a notice of the daemon, and the reply names no other receiver.
    """
    original = change.transaction.conversation.original(number, draft.sender)
    if original is None:
        raise NotFound(
            f"'{draft.sender}' has neither sent nor got a message {number}: reply to one of your"
            " own, or leave 'replyTo' out."
        )
    if draft.to:
        return original.thread, draft
    if original.is_notice:
        raise Unanswerable(
            f"Message {number} is a notice of the daemon: nobody reads replies to it."
        )
    return original.thread, replace(draft, to=original.other)


def arrive(change: Change, number: int, reply_to: int | None, mailbox: str, *, quiet: bool) -> None:
    """Note that a message waits in *mailbox* from now on; end the question that it answers."""
    if reply_to is not None:
        change.messages.add(reply_to)
        question = change.transaction.conversation.answer(number)
        if question is not None and change.lease_answer(question):
            return
    change.note_mail(mailbox, quiet=quiet)


def ask(change: Change, receipt: Receipt, asker: Asker | None, *, has_ended: bool) -> None:
    """Check a question that was just stored, and register its *asker*, if there is one.

    If the question is a repetition and has ended, lease what ended it, if that still waits.

    Raises:
        Unanswerable: if nobody can answer it, such as when the asked session *has_ended*.
        MutualAsk: if two would wait for each other's answer.
    """
    if not receipt.duplicate:
        questions.check_answerable(receipt, has_ended=has_ended)
    if asker is None:
        return
    questions.check_not_mutual(change, receipt)
    change.askers.expect(receipt.id, asker)
    if receipt.duplicate:
        status = change.transaction.history.status(receipt.id, receipt.sender)
        asker.is_too_late = status is None or status.outcome is not None
        change.lease_answer(receipt.id)
