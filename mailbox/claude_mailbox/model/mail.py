"""Messages, mailboxes and leases as they cross layers, and the rules for what a message has."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.limits import LoopGuard
from claude_mailbox.model.sessions import SessionFacts
from claude_mailbox.refusals import TooLarge

KEY_LIMIT = 200
# How long an idempotency key is remembered.
KEY_MILLISECONDS = 24 * 3600 * 1000
CHECK_LIMIT = 1000
CHECK_BYTES = 8 * 1024 * 1024
# What the framing around a message adds when it is shown to a model.
FRAME_CHARACTERS = 200


# Made for every message: a frozen dataclass takes four times as long to make.
@dataclass(slots=True)
class Delivery:
    """One message handed to a receiver under a lease.

    Attributes:
        id: number of the message; grows with time, never used again.
        sender: present name of the mailbox that sent it.
        body: text, exactly as sent.
        sent_at: milliseconds since the epoch.
        attempts: how often it was handed out, this time included.
        lease: token that settles, extends or releases it.
        envelope: what it has besides its text, or None when that is nothing.
    """

    id: int
    sender: str
    body: str
    sent_at: int
    attempts: int
    lease: str
    envelope: Envelope | None = None


def shown_characters(delivery: Delivery) -> int:
    """Return about how many characters a message takes when it is shown to a model."""
    return len(delivery.body) + FRAME_CHARACTERS


@dataclass(frozen=True, slots=True)
class Claim:
    """What one look into a mailbox yielded.

    Attributes:
        mailbox: present name of the mailbox.
        deliveries: leased messages, oldest first.
        remaining: messages that still wait there.
        exhausted: numbers of messages that were handed out too often, and left where they are.
    """

    mailbox: str
    deliveries: Sequence[Delivery]
    remaining: int
    exhausted: Sequence[int] = ()


@dataclass(slots=True)  # as Delivery
class Receipt:
    """The honest answer to a send.

    Attributes:
        id: number of the stored message.
        sender: present name of the sender.
        recipient: present name of the receiving mailbox.
        sent_at: milliseconds since the epoch.
        known: whether anybody ever used the receiving mailbox.
        last_seen_at: when somebody last did, in milliseconds since the epoch.
        watching: whether somebody was waiting for mail there at that moment.
        pending: messages that wait there, this one included.
        forwarded_from: former name that the message was addressed to, if it was.
        duplicate: whether the answer repeats that of an earlier send with the same key.
        session: the session that has the receiving mailbox, if one has.
        is_held: whether it is held for the user, because there were so many.
        guard: what the sender is told about their number, or None.
        suggestions: names that may be meant instead of one that nobody knows.
    """

    id: int
    sender: str
    recipient: str
    sent_at: int
    known: bool
    last_seen_at: int | None
    watching: bool
    pending: int
    forwarded_from: str | None = None
    duplicate: bool = False
    session: SessionFacts | None = None
    is_held: bool = False
    guard: LoopGuard | None = None
    suggestions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GroupReceipt:
    """The honest answer to a send to a group.

    Attributes:
        id: number of the first copy.
        sender: present name of the sender.
        group: name of the group.
        sent_at: milliseconds since the epoch.
        copies: the receipt of each member's copy.
        is_quiet: whether it rings nobody.
        duplicate: whether the answer repeats that of an earlier send with the same key.
    """

    id: int
    sender: str
    group: str
    sent_at: int
    copies: Sequence[Receipt]
    is_quiet: bool
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a mailbox: a count, and the oldest message's time in milliseconds."""

    pending: int
    oldest_at: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of the list of mailboxes; times in milliseconds since the epoch."""

    name: str
    last_seen_at: int | None
    pending: int
    pending_for_you: int
    description: str | None = None
    session: SessionFacts | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What there is in all mailboxes together, and how many messages were ever sent."""

    mailboxes: int
    waiting: int
    leased: int
    sent: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A rename that happened: the names, and how many pending messages moved along."""

    old: str
    new: str
    transferred: int


@dataclass(frozen=True, slots=True)
class LeaseOutcome:
    """Which lease tokens an ack, release or extend reached, and which were lost before."""

    done: Sequence[str]
    lost: Sequence[str]


def check_body(value: object, limit: int) -> str:
    """Return the body of a message.

    Raises:
        BadRequest: if it is no string, empty, or no valid Unicode text.
        TooLarge: if it is longer than *limit* bytes of UTF-8.
    """
    if not isinstance(value, str):
        raise BadRequest("'body' must be a string with the text of the message.")
    if not value:
        raise BadRequest("'body' is missing or empty: give the text of the message.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise BadRequest(
            f"'body' has half of a surrogate pair at character {error.start}: send valid Unicode."
        ) from None
    if size > limit:
        raise TooLarge(
            f"The message has {size} bytes; the limit is {limit} (maxBodyBytes): send it in parts,"
            " or send the path of a file."
        )
    return value


def check_key(value: object) -> str | None:
    """Return the idempotency key, or None when there is none.

    Raises:
        BadRequest: if it is not a string of 1 to 200 characters.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= KEY_LIMIT:
        raise BadRequest(f"'idempotencyKey' must be a string of 1 to {KEY_LIMIT} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest("'idempotencyKey' must be valid Unicode.") from None
    return value


def check_message(value: object, what: str) -> int:
    """Return the number of a message, which may be given as text, or as a float in JSON.

    Raises:
        BadRequest: if it is none; *what* names the field in the sentence.
    """
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise BadRequest(f"'{what}' must be the number of a message.")
    return value


def parse_token(token: str) -> tuple[int, str]:
    """Return message number and nonce of a lease; (-1, "") for what was never a token of ours."""
    number, _, nonce = token.partition("-")
    # 18 digits always fit 64 bits.
    if token.isascii() and number.isdigit() and len(number) <= 18:
        return int(number), nonce
    return -1, ""
