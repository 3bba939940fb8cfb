"""Messages that belong together, and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass

# How a question ends.
ANSWERED, TIMED_OUT, UNANSWERABLE = "answered", "timed-out", "unanswerable"
OUTCOMES = (ANSWERED, TIMED_OUT, UNANSWERABLE)
# What a notice of the daemon tells; the first two end a question.
EXPIRED, PARKED = "expired", "parked"
# Sender of notices. Nobody can have that name.
DAEMON = "claude-mailbox"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message has besides its text; None for what it does not have.

    Attributes:
        thread: number of the first message of its thread.
        reply_to: number of the message that it replies to.
        is_final: whether it answers that, if that is a question.
        urgency: one of `URGENCIES`.
        answer_by: of a question, when an answer is wanted, in milliseconds since the epoch.
        notice: of a message by the daemon, what it tells.
        group: of a copy for a member, the group that the message was sent to.
    """

    thread: int | None
    reply_to: int | None
    is_final: bool
    urgency: str
    answer_by: int | None
    notice: str | None
    group: str | None


@dataclass(frozen=True, slots=True)
class Original:
    """A message, as somebody sees it who wants to reply.

    Attributes:
        thread: number of the first message of its thread.
        other: name of the mailbox on its other side.
        is_notice: whether the daemon wrote it.
    """

    thread: int
    other: str
    is_notice: bool


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without an outcome yet. Times are milliseconds since the epoch.

    Attributes:
        number: of the message.
        asked: name of the mailbox that is asked.
        asked_at: when it was sent.
        answer_by: when an answer is wanted.
        is_deleted: whether the asked mailbox is gone.
        seen_at: when it was delivered, or None.
        state: what the session of the asked mailbox does, or None when it has no session.
        since: when it began to, or None.
        ended_at: when that session ended, or None.
        clients: keys of the processes that run it.
    """

    number: int
    asked: str
    asked_at: int
    answer_by: int
    is_deleted: bool
    seen_at: int | None
    state: str | None
    since: int | None
    ended_at: int | None
    clients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delayed message whose time has come.

    Attributes:
        number: of the message.
        recipient: name of its mailbox.
        is_quiet: whether it rings nobody.
        reply_to: number of the message that it replies to, or None.
    """

    number: int
    recipient: str
    is_quiet: bool
    reply_to: int | None


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that was taken out of its mailbox without delivery.

    Attributes:
        number: of the message.
        recipient: name of the mailbox that it was sent to.
        attempts: how often it was handed out.
        is_open_question: whether its sender waits for an answer.
        is_notice: whether the daemon wrote it.
    """

    number: int
    recipient: str
    attempts: int
    is_open_question: bool
    is_notice: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A message by the daemon that was stored.

    Attributes:
        number: of the message.
        recipient: name of the mailbox that it is for.
        is_quiet: whether it rings nobody.
    """

    number: int
    recipient: str
    is_quiet: bool
