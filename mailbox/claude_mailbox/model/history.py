"""What became of messages, and how to ask for it."""

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
        attempts: how often it was handed out.
        delivered_at: milliseconds since the epoch, or None.
        by: the way it was delivered, such as ``watch``; None when it was not, or nobody noted it.
        envelope: what it has besides its text, or None when that is nothing.
        outcome: of a question that is not open any more, how it ended.
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
        body: its text, or the beginning of that.
        length: characters of the whole text.
    """

    status: MessageStatus
    body: str
    length: int


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which messages of a mailbox are wanted; None for a restriction that is not.

    Attributes:
        words: text with all of these words and "quoted phrases".
        peer: exchanged with that mailbox, by its present or its last name.
        thread: number of the first message of the thread.
        group: sent to that group.
        since: sent at that time or later, in milliseconds since the epoch.
        before: number that theirs are below.
        limit: how many at most.
        max_characters: of bodies with their framing, at most.
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
    """Messages, newest first, and whether there may be older ones that were wanted, too."""

    entries: Sequence[HistoryEntry]
    has_more: bool


def check_words(value: object, what: str) -> str | None:
    """Return the words to search for, or None when there are none.

    Raises:
        BadRequest: if they are no string, too long, or no valid Unicode text; *what* names the
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
