"""Threads, questions and notices."""

from collections.abc import Sequence
from dataclasses import dataclass

# How a question ends.
ANSWERED, TIMED_OUT, UNANSWERABLE = "answered", "timed-out", "unanswerable"
OUTCOMES = (ANSWERED, TIMED_OUT, UNANSWERABLE)
# What a notice says; the first two end a question.
EXPIRED, PARKED = "expired", "parked"
# Sender of notices; no mailbox can have that name.
DAEMON = "claude-mailbox"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message has besides its text; None for what it does not have.

    Attributes:
        thread: number of the first message of its thread.
        reply_to: number of the message that it replies to.
        is_final: whether it answers that message, if that is a question.
        urgency: one of `URGENCIES`.
        answer_by: deadline of a question, in milliseconds since the epoch.
        notice: kind of a notice.
        group: the group that the message was sent to, if this is the copy for a member.
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
    """A message to reply to.

    Attributes:
        thread: number of the first message of its thread.
        other: name of the mailbox that the reply goes to.
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
        answer_by: its deadline.
        is_deleted: whether the asked mailbox was deleted.
        seen_at: when it was delivered, or None.
        state: state of the session of the asked mailbox, or None if it has none.
        since: when that state began, or None.
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
    """A message that waits from now on, after a delay or a hold.

    Attributes:
        number: of the message.
        recipient: name of its mailbox.
        is_quiet: whether it wakes nobody.
        reply_to: number of the message that it replies to, or None.
    """

    number: int
    recipient: str
    is_quiet: bool
    reply_to: int | None


@dataclass(frozen=True, slots=True)
class Returned:
    """A message that expired or was parked.

    Attributes:
        number: of the message.
        recipient: name of the mailbox that it was sent to.
        attempts: how often it was claimed.
        is_open_question: whether it is a question without an outcome.
        is_notice: whether the daemon wrote it.
    """

    number: int
    recipient: str
    attempts: int
    is_open_question: bool
    is_notice: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was stored.

    Attributes:
        number: of the message.
        recipient: name of the mailbox that it is for.
        is_quiet: whether it wakes nobody.
    """

    number: int
    recipient: str
    is_quiet: bool
