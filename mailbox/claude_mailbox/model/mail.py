"""Messages, mailboxes and leases, and checks of a message's fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.limits import LoopGuard
from claude_mailbox.model.sessions import SessionFacts
from claude_mailbox.refusals import TooLarge

KEY_LIMIT = 200
# How long an idempotency key is kept.
KEY_MILLISECONDS = 24 * 3600 * 1000
CHECK_LIMIT = 1000
CHECK_BYTES = 8 * 1024 * 1024
# Characters that framing adds to a message when it is shown to a model.
FRAME_CHARACTERS = 200


# Made for every message: a frozen dataclass takes four times as long to make.
@dataclass(slots=True)
class Delivery:
    """A message delivered under a lease.

    Attributes:
        id: number of the message; numbers grow, and are never reused.
        sender: present name of the mailbox that sent it.
        body: text, exactly as sent.
        sent_at: milliseconds since the epoch.
        attempts: how often it was claimed, this time included.
        lease: token that settles, extends or releases it.
        envelope: its envelope, or None for a plain message.
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
    """The result of a claim.

    Attributes:
        mailbox: present name of the mailbox.
        deliveries: leased messages, oldest first.
        remaining: messages that still wait there.
        exhausted: numbers of messages with too many attempts, which were not leased.
    """

    mailbox: str
    deliveries: Sequence[Delivery]
    remaining: int
    exhausted: Sequence[int] = ()


@dataclass(slots=True)  # as Delivery
class Receipt:
    """The answer to a send.

    Attributes:
        id: number of the stored message.
        sender: present name of the sender.
        recipient: present name of the receiving mailbox.
        sent_at: milliseconds since the epoch.
        known: whether anybody has used the receiving mailbox.
        last_seen_at: when it was last used, in milliseconds since the epoch, or None.
        watching: whether a waiter was there.
        pending: messages that wait there, this one included.
        forwarded_from: the former name that the message was addressed to, or None.
        duplicate: whether it is the receipt of an earlier send with the same key.
        session: the session of the receiving mailbox, or None.
        is_held: whether the message is held for the user.
        guard: what the sender is told of a long exchange, or None.
        suggestions: other names that may be meant, if *known* is false.
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
    """The answer to a send to a group.

    Attributes:
        id: number of the first copy.
        sender: present name of the sender.
        group: name of the group.
        sent_at: milliseconds since the epoch.
        copies: the receipt of each member's copy.
        is_quiet: whether it wakes nobody.
        duplicate: whether it is the receipt of an earlier send with the same key.
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
    """How many messages wait in a mailbox, and when the oldest was sent, in milliseconds."""

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
    """Totals of all mailboxes, and how many messages were ever sent."""

    mailboxes: int
    waiting: int
    leased: int
    sent: int


@dataclass(frozen=True, slots=True)
class Rename:
    """The result of a rename: both names, and how many pending messages moved along."""

    old: str
    new: str
    transferred: int


@dataclass(frozen=True, slots=True)
class LeaseOutcome:
    """The lease tokens that an ack, release or extension applied to, and those that had ended."""

    done: Sequence[str]
    lost: Sequence[str]


def check_body(value: object, limit: int) -> str:
    """Return the body of a message.

    Raises:
        BadRequest: if it is not a string, empty, or not valid Unicode.
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
    """Return the idempotency key, or None if there is none.

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
        BadRequest: if it is something else; *what* names the field in the sentence.
    """
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise BadRequest(f"'{what}' must be the number of a message.")
    return value


def parse_token(token: str) -> tuple[int, str]:
    """Return the message number and nonce of a token; (-1, "") if it is malformed."""
    number, _, nonce = token.partition("-")
    # 18 digits always fit 64 bits.
    if token.isascii() and number.isdigit() and len(number) <= 18:
        return int(number), nonce
    return -1, ""
