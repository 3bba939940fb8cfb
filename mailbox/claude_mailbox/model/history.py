"""The history of messages, and queries for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.mail import CHECK_BYTES

HISTORY_DEFAULT = 50
HISTORY_LIMIT = 500
WORDS_LIMIT = 500


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What became of a message.

    Attributes:
        id: number of the message.
        sender: present name of the mailbox that sent it.
        recipient: present name of the mailbox that it was sent to.
        sent_at: milliseconds since the epoch.
        state: ``waiting``, ``leased``, ``delivered``, ``held``, ``expired``, ``parked`` or
            ``deleted``.
        attempts: how often it was claimed.
        delivered_at: milliseconds since the epoch, or None.
        by: how it was delivered, such as ``watch``; None if it was not, or in older versions.
        envelope: its envelope, or None for a plain message.
        outcome: how a question ended, or None.
        replied_by: number of the first reply by its recipient, or None.
    """

    id: int
    sender: str
    recipient: str
    sent_at: int
    state: str
    attempts: int
    delivered_at: int | None
    by: str | None
    envelope: Envelope | None = None
    outcome: str | None = None
    replied_by: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One message of a mailbox's history.

    Attributes:
        status: what became of it.
        body: its text, perhaps cut.
        length: characters of the whole text.
    """

    status: MessageStatus
    body: str
    length: int


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A query for messages of a mailbox; None for no restriction.

    Attributes:
        words: words and "quoted phrases", all of which must match.
        peer: exchanged with this mailbox, by its present or last name.
        thread: number of the first message of the thread.
        group: sent to that group.
        since: sent at that time or later, in milliseconds since the epoch.
        before: with numbers below this one.
        limit: most messages.
        max_characters: most characters of bodies with their framing.
    """

    words: str | None = None
    peer: str | None = None
    thread: int | None = None
    group: str | None = None
    since: int | None = None
    before: int | None = None
    limit: int = HISTORY_DEFAULT
    max_characters: int = CHECK_BYTES


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages, newest first, and whether there may be older ones that match."""

    entries: Sequence[HistoryEntry]
    has_more: bool


def check_words(value: object, what: str) -> str | None:
    """Return the words to search for, or None if there are none.

    Raises:
        BadRequest: if they are not a string, too long, or not valid Unicode; *what* names the
            field in the sentence.
    """
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > WORDS_LIMIT:
        raise BadRequest(f"'{what}' must be a string of at most {WORDS_LIMIT} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"'{what}' must be valid Unicode.") from None
    return value if value.strip() else None
