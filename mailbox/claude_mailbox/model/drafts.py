"""A message to be sent."""

from dataclasses import dataclass

# The group of all sessions that were active in the last hour.
ALL = "@all"
LOW, NORMAL, HIGH = "low", "normal", "high"
URGENCIES = (LOW, NORMAL, HIGH)


@dataclass(slots=True)  # frozen, it would take four times as long to make
class Draft:
    """A message to be sent, with checked fields; None for those it does not have.

    Attributes:
        sender: name of the mailbox that sends it.
        to: name of the receiver; empty for a reply to whoever is on the other side of that message.
        body: text.
        key: idempotency key.
        reply_to: number of the message that it replies to.
        is_final: whether it answers that message, if that is a question.
        ask: seconds until the deadline of a question.
        urgency: one of `URGENCIES`.
        ttl: seconds after which it expires, unless it was delivered.
        delay: seconds after which it is delivered.
        is_strict: whether it is refused if nobody has used the receiver's mailbox.
        is_confirmed: whether it may go to more than a few members of a group.
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
        """Whether it wakes nobody."""
        return self.urgency == LOW or (self.group == ALL and self.urgency != HIGH)
