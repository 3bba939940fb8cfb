"""Converts columns of a message to an `Envelope`."""

from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.drafts import HIGH, LOW, NORMAL

# In the order in which `envelope_of` takes them.
COLUMNS = "thread, reply_to, is_final, urgency, answer_by, notice, group_name"

URGENCY_NUMBERS = {LOW: -1, NORMAL: 0, HIGH: 1}
_URGENCIES = {number: urgency for urgency, number in URGENCY_NUMBERS.items()}


def envelope_of(
    thread: int | None,
    reply_to: int | None,
    is_final: int,
    urgency: int,
    answer_by: int | None,
    notice: str | None,
    group: str | None,
) -> Envelope | None:
    """Return a message's envelope, or None for a plain message."""
    if thread is None and answer_by is None and not urgency:
        return None
    return Envelope(thread, reply_to, bool(is_final), _URGENCIES[urgency], answer_by, notice, group)
