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
        fields: all that the daemon said of it.
        is_settled: whether it was acked or released.
    """

    id: int
    sender: str
    body: str
    sent_at: datetime
    attempts: int
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
        "fields": content,
    }


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The answer to a send.

    Attributes:
        id: number of the stored message.
        recipient: the mailbox that it was sent to, by its present name.
        sent_at: when it was stored.
        known: whether anybody ever used that mailbox.
        watching: whether somebody was waiting for mail there.
        wakes: whether something will wake its session.
        pending: messages that wait there, this one included.
        fields: all that the daemon said.
    """

    id: int
    recipient: str
    sent_at: datetime
    known: bool
    watching: bool
    wakes: bool
    pending: int
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Receipt":
        """Return the receipt that *content* of the wire describes."""
        about = content["recipient"]
        return cls(
            id=content["id"],
            recipient=content["to"],
            sent_at=moment(content["sentAt"]),
            known=about["known"],
            watching=about["watching"],
            wakes=about["wakes"],
            pending=about["pending"],
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
        state: ``waiting``, ``leased``, ``delivered`` and so on.
        fields: all that the daemon said of it.
    """

    id: int
    sender: str
    recipient: str
    body: str
    sent_at: datetime
    state: str
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
            fields=content,
        )
