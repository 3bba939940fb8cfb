"""Delays, times to live, and deadlines of questions.

::

    sent with a delay                  the delay is over
    -----------------> not visible yet -----------------> waiting, as if sent now
                             |                              |
                             |  not delivered within its    |
                             +-- time to live --------------+---> expired: its sender gets a notice

A message that is leased when its time to live is over can still be acked; if it is released
instead, it expires.
"""

from claude_mailbox.daemon.delivery.conversation import questions, sending
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.model.conversations import EXPIRED, UNANSWERABLE, Returned


def advance(change: Change) -> None:
    """Do everything that is due by now."""
    for returned in change.transaction.conversation.take_back(change.now):
        sentence = (
            f"Your message {returned.number} to '{returned.recipient}' has expired: it was not"
            " delivered within its time to live. It is kept in your history."
        )
        notify_sender(change, returned, EXPIRED, sentence)
    for each in change.transaction.conversation.show_delayed(change.now):
        sending.arrive(change, each.number, each.reply_to, each.recipient, quiet=each.is_quiet)
    questions.close_overdue(change)


def notify_sender(change: Change, returned: Returned, notice: str, sentence: str) -> None:
    """Notify the sender of a message that went undelivered; never about a notice."""
    number = returned.number
    change.messages.add(number)
    if returned.is_open_question:
        questions.close(change, number, UNANSWERABLE, sentence)
    elif not returned.is_notice:
        stored = change.transaction.conversation.notify(number, notice, sentence, change.now)
        if stored is not None:
            change.note_mail(stored.recipient, quiet=stored.is_quiet)
