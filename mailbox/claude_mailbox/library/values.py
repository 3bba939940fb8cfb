"""What the library returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from claude_mailbox.errors import MailboxError


class LeaseLost(MailboxError):
    """A message was handled, but its lease had ended before: somebody else may have it, too."""

    code = "lease-lost"

    def __init__(self, messages: Sequence[int]) -> None:
        which = ", ".join(map(str, messages))
        super().__init__(
            f"The lease of message {which} had ended, so it is delivered again: give 'lease' more"
            " seconds, or extend it."
        )


class Unanswered(MailboxError):
    """A question has no answer, and will have none; the sentence says why."""

    code = "unanswered"


def moment(text: str) -> datetime:
    """Return a time of the wire."""
    return datetime.fromisoformat(text)


@dataclass(kw_only=True)
class MessageFields:
    """A message that is leased to this mailbox.

    Attributes:
        id: number of the message.
        sender: mailbox that sent it.
        body: its text, exactly as sent.
        sent_at: when it was sent.
        attempts: how often it was handed out, this time included.
        thread: number of the first message of its conversation, if it belongs to one.
        reply_to: number of the message that it replies to, if any.
        answer_by: until when an answer is wanted; None of what is no question.
        is_final: False of a reply that leaves the question open.
        urgency: ``low``, ``normal`` or ``high``.
        group: the group that it was sent to, such as ``@reviewers``, if any.
        notice: what the daemon says about `reply_to`: ``timed-out`` or ``unanswerable`` of
            a question, ``expired`` or ``parked`` of any message; None of mail.
        fields: the whole JSON object of the daemon.
        is_settled: whether it was acked or released.
    """

    id: int
    sender: str
    body: str
    sent_at: datetime
    attempts: int
    thread: int | None
    reply_to: int | None
    answer_by: datetime | None
    is_final: bool
    urgency: str
    group: str | None
    notice: str | None
    lease: str = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    is_settled: bool = field(default=False, repr=False)


def message_fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `MessageFields` for a message of the wire."""
    return {
        "id": content["id"],
        "sender": content["from"],
        "body": content["body"],
        "sent_at": moment(content["sentAt"]),
        "attempts": content["attempts"],
        "lease": content["lease"],
        "group": content.get("to"),
        **_conversation_fields(content),
        "fields": content,
    }


def _conversation_fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message of the wire belongs to; what says nothing is not there."""
    answer_by = content.get("answerBy")
    return {
        "thread": content.get("thread"),
        "reply_to": content.get("replyTo"),
        "answer_by": None if answer_by is None else moment(answer_by),
        "is_final": content.get("final", True),
        "urgency": content.get("urgency", "normal"),
        "notice": content.get("notice"),
    }


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One of those who get a message to a group.

    Attributes:
        id: number of its copy.
        name: its mailbox.
        wakes: whether something will wake its session.
    """

    id: int
    name: str
    wakes: bool


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The answer to a send.

    Attributes:
        id: number of the stored message; of several copies, of the first.
        recipient: the mailbox that it was sent to, by its present name, or the group.
        sent_at: when it was stored.
        state: ``queued``, or ``held`` until the user releases it.
        is_duplicate: whether it was stored before, with the same key.
        known: whether anybody ever used that mailbox.
        watching: whether somebody was waiting for mail there.
        wakes: whether something will wake its session, or that of somebody in the group.
        pending: messages that wait there, this one included; 0 of a group.
        suggestions: names that may be meant, if nobody ever used that mailbox.
        recipients: who gets a copy each, if it was sent to a group.
        guard: the warning to two sessions that write to each other without end, or None.
        fields: the whole JSON object of the daemon.
    """

    id: int
    recipient: str
    sent_at: datetime
    state: str
    is_duplicate: bool
    known: bool
    watching: bool
    wakes: bool
    pending: int
    suggestions: Sequence[str]
    recipients: Sequence[Recipient]
    guard: Mapping[str, Any] | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Receipt":
        """Return the receipt that *content* of the wire describes."""
        about = content.get("recipient", {})
        recipients = [
            Recipient(id=each["id"], name=each["name"], wakes=each["wakes"])
            for each in content.get("recipients", ())
        ]
        return cls(
            id=content["id"],
            recipient=content["to"],
            sent_at=moment(content["sentAt"]),
            state=content["state"],
            is_duplicate=content.get("duplicate", False),
            known=about.get("known", True),
            watching=about.get("watching", False),
            wakes=about.get("wakes", any(each.wakes for each in recipients)),
            pending=about.get("pending", 0),
            suggestions=about.get("suggestions", ()),
            recipients=recipients,
            guard=content.get("guard"),
            fields=content,
        )


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """A message that the mailbox sent or got.

    Attributes:
        id: number of the message.
        sender: mailbox that sent it.
        recipient: mailbox that it was sent to.
        body: its text.
        sent_at: when it was sent.
        state: ``waiting``, ``leased``, ``delivered``, ``held``, ``expired``, ``parked`` or
            ``deleted``.
        attempts: how often it was handed out.
        outcome: how a question ended: ``answered``, ``timed-out`` or ``unanswerable``; None of one
            that is open, and of what is no question.
        replied_by: number of the last reply, if there is any.
        thread: see `MessageFields`, as for the following.
        fields: the whole JSON object of the daemon.
    """

    id: int
    sender: str
    recipient: str
    body: str
    sent_at: datetime
    state: str
    attempts: int
    outcome: str | None
    replied_by: int | None
    thread: int | None
    reply_to: int | None
    answer_by: datetime | None
    is_final: bool
    urgency: str
    group: str | None
    notice: str | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "HistoryEntry":
        """Return the entry that *content* of the wire describes."""
        return cls(
            id=content["id"],
            sender=content["from"],
            recipient=content["to"],
            body=content["body"],
            sent_at=moment(content["sentAt"]),
            state=content["state"],
            attempts=content["attempts"],
            outcome=content.get("outcome"),
            replied_by=content.get("repliedBy"),
            group=content.get("group"),
            **_conversation_fields(content),
            fields=content,
        )
