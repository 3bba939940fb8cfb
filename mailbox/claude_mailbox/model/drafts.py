"""A message as its sender gives it."""

from dataclasses import dataclass

# The group of all sessions that were active lately.
ALL = "@all"
LOW, NORMAL, HIGH = "low", "normal", "high"
URGENCIES = (LOW, NORMAL, HIGH)


@dataclass(slots=True)  # frozen, it would take four times as long to make
class Draft:
    """A message that is to be sent; its fields were checked. None for what it does not have.

    Attributes:
        sender: name of the mailbox that sends it.
        to: name that it is addressed to; empty for the other side of the message it replies to.
        body: text.
        key: idempotency key.
        reply_to: number of the message that it replies to.
        is_final: whether it answers that, if that is a question; otherwise it is news on the way.
        ask: seconds in which an answer is wanted.
        urgency: one of `URGENCIES`.
        ttl: seconds after which it is returned, if it is not delivered by then.
        delay: seconds for which nobody sees it.
        is_strict: whether it is for a mailbox that somebody has used, or nothing is stored.
        is_confirmed: whether it may go to many members of a group.
        group: name of the group if this is the copy for a member.
    """

    sender: str
    to: str
    body: str
    key: str | None = None
    reply_to: int | None = None
    is_final: bool = True
    ask: float | None = None
    urgency: str = NORMAL
    ttl: float | None = None
    delay: float | None = None
    is_strict: bool = False
    is_confirmed: bool = False
    group: str | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether it rings nobody."""
        return self.urgency == LOW or (self.group == ALL and self.urgency != HIGH)
