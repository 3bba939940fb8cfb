"""What a send does besides storing the message: replies, and the answers to questions."""

from dataclasses import replace

from claude_mailbox.daemon.delivery.conversation import questions
from claude_mailbox.daemon.delivery.conversation.askers import Asker
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.errors import NotFound, Unanswerable
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Receipt


def address(change: Change, draft: Draft, number: int) -> tuple[int, Draft]:
    """Return the thread of a reply to message *number*, and the reply as it is addressed.

    Raises:
        NotFound: if the sender has neither sent nor got the original.
        Unanswerable: if the daemon wrote that, and the reply is for nobody else.
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
    """Note a message that waits in *mailbox* from now on, and the question that it answers."""
    if reply_to is not None:
        change.messages.add(reply_to)
        question = change.transaction.conversation.answer(number)
        if question is not None and change.lease_answer(question):
            return
    change.note_mail(mailbox, quiet=quiet)


def ask(change: Change, receipt: Receipt, asker: Asker | None, *, has_ended: bool) -> None:
    """Let *asker*, if there is one, wait for the answer to the question that was just stored.

    If he repeats a question that has ended, what ended it is leased for him if it still waits.

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
