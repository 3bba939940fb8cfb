"""Values that cross layers, and the rules for names, bodies and times. No I/O."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from claude_mailbox.errors import BadRequest, InvalidName, TooLarge

NAME_LIMIT = 128
KEY_LIMIT = 200
# How long an idempotency key is remembered.
KEY_MILLISECONDS = 24 * 3600 * 1000
CHECK_LIMIT = 1000
CHECK_BYTES = 8 * 1024 * 1024
HISTORY_DEFAULT = 50
HISTORY_LIMIT = 500
WORDS_LIMIT = 500

# The years 1000 to 9999, which have four digits: in milliseconds since the epoch.
_FIRST_TIME = -30_610_224_000_000
_LAST_TIME = 253_402_300_799_999
# What the framing around a message adds when it is shown to a model.
FRAME_CHARACTERS = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Control characters, lone surrogates and line or paragraph separators would let a name
# break out of the one line that it is printed on.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What the name of a new mailbox may have besides letters and digits: nothing that a shell, a quote
# or a tag needs.
_PUNCTUATION = frozenset(" ._-+:/@")
_FIRST_FORBIDDEN = frozenset("@-")
# Letters and marks that are not seen, and would make two names look like one.
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_RESERVED_NAMES = frozenset({"user", "all"})
_RESERVED_PREFIX = "claude-mailbox"
# Direction overrides let one name be displayed as another.
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message handed to a receiver under a lease.

    Attributes:
        id: number of the message; grows with time, never used again.
        sender: present name of the mailbox that sent it.
        body: text, exactly as sent.
        sent_at: milliseconds since the epoch.
        attempts: how often it was handed out, this time included.
        lease: token that settles, extends or releases it.
    """

    id: int
    sender: str
    body: str
    sent_at: int
    attempts: int
    lease: str


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
    """

    mailbox: str
    deliveries: Sequence[Delivery]
    remaining: int


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of the session that has a mailbox.

    Attributes:
        state: one of `SESSION_STATES`.
        since: when it began, in milliseconds since the epoch, or None.
        project: name of its project, or None.
        cwd: its working folder, or None.
        has_bell: whether its client watches a file that wakes it.
    """

    state: str
    since: int | None
    project: str | None
    cwd: str | None
    has_bell: bool


@dataclass(frozen=True, slots=True)
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
    session: SessionFacts | None = None


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something that a hook tells of its session.

    Attributes:
        session_id: the client's id of it.
        state: what it does from now on (a value of `SESSION_STATES`), or None for no change.
        begins_turn: whether a prompt starts a turn.
        transcript: path of the file that the client writes the conversation to, or None.
        cwd: its working folder, or None.
        project: name of its project, or None.
    """

    session_id: str
    state: str | None
    begins_turn: bool = False
    transcript: str | None = None
    cwd: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A message that a hook or command gave to a session's client, without proof of arrival yet.

    Attributes:
        lease: token of the lease that it was shown under; its mark in the transcript.
        kind: ``"context"``, ``"wake"`` or ``"command"``.
        is_past: whether a turn has begun since.
        shown_at: milliseconds since the epoch.
        transcript: path of the client's file; empty when it was not known.
        inode: of that file when the message was shown, 0 if there was none.
        size: of that file then, in bytes.
    """

    lease: str
    kind: str
    is_past: bool
    shown_at: int
    transcript: str
    inode: int
    size: int


SESSION_STATES = ("working", "idle", "waiting", "ended", "unknown")
SHOWN_KINDS = ("context", "wake", "command")


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


@dataclass(frozen=True, slots=True)
class Start:
    """A session that starts, resumes or goes on.

    Attributes:
        session_id: the client's id of it.
        name: the mailbox that it would like to have.
        client: what tells its process from others, or None when that is not known.
        has_bell: whether the client watches a file for it.
        takes_over: whether it goes on in the place of the session that this client ran before.
    """

    session_id: str
    name: str
    client: str | None
    has_bell: bool
    takes_over: bool


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start.

    Attributes:
        mailbox: present name of the session's mailbox.
        pending: messages that wait there.
        former: the session whose place it took, or None.
    """

    mailbox: str
    pending: int
    former: str | None


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """What became of a message.

    Attributes:
        id: number of the message.
        sender: present name of the mailbox that sent it.
        recipient: present name of the mailbox that it was sent to.
        sent_at: milliseconds since the epoch.
        state: ``waiting``, ``leased`` or ``delivered``.
        attempts: how often it was handed out.
        delivered_at: milliseconds since the epoch, or None.
        by: the way it was delivered, such as ``watch``; None when it was not, or nobody noted it.
    """

    id: int
    sender: str
    recipient: str
    sent_at: int
    state: str
    attempts: int
    delivered_at: int | None
    by: str | None


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
        since: sent at that time or later, in milliseconds since the epoch.
        before: number that theirs are below.
        limit: how many at most.
        max_characters: of bodies with their framing, at most.
    """

    words: str | None = None
    peer: str | None = None
    thread: int | None = None
    since: int | None = None
    before: int | None = None
    limit: int = HISTORY_DEFAULT
    max_characters: int = CHECK_BYTES


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages, newest first, and whether there may be older ones that were wanted, too."""

    entries: Sequence[HistoryEntry]
    has_more: bool


def check_name(value: object, what: str = "name") -> str:
    """Return the mailbox name, trimmed and in normal form (NFC).

    That there may be such a mailbox does not mean that it may be made: see `check_new_name`.

    Raises:
        InvalidName: if it is no string, empty, longer than 128 characters or has control
            characters; *what* names the field in the sentence.
    """
    if not isinstance(value, str):
        raise InvalidName(f"'{what}' must be a string with the name of a mailbox.")
    name = value.strip()
    if not name:
        raise InvalidName(f"'{what}' is missing or empty: give the name of a mailbox.")
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if len(name) > NAME_LIMIT:
        raise InvalidName(f"'{what}' has {len(name)} characters; the limit is {NAME_LIMIT}.")
    if not name.isascii() or not name.isprintable():
        for character in name:
            if (
                character in _BIDI_CONTROLS
                or unicodedata.category(character) in _FORBIDDEN_CATEGORIES
            ):
                raise InvalidName(
                    f"'{what}' has the control character U+{ord(character):04X}: leave it out."
                )
    return name


def check_new_name(name: str) -> None:
    """Check that a mailbox of that name may be made. Those of older versions may have others.

    Raises:
        InvalidName: if it has other characters than a name may have, or belongs to the daemon.
    """
    for character in name:
        if not _may_be_in_name(character):
            raise InvalidName(
                f"A mailbox cannot be named '{name}': {_shown(character)} is not allowed. Use"
                " letters, digits, blanks and . _ - + : / @ only."
            )
    if name[0] in _FIRST_FORBIDDEN or unicodedata.category(name[0]).startswith("M"):
        raise InvalidName(
            f"A mailbox cannot be named '{name}': let the name begin with a letter or digit."
        )
    if is_reserved(name):
        raise InvalidName(f"The name '{name}' belongs to the daemon: choose another one.")


def _may_be_in_name(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _PUNCTUATION
    return character not in _UNSEEN and (
        character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"}
    )


def _shown(character: str) -> str:
    return character if "!" <= character <= "~" else f"U+{ord(character):04X}"


def is_reserved(name: str) -> bool:
    """Return whether only the daemon may make a mailbox of that name."""
    folded = name.casefold()
    return folded in _RESERVED_NAMES or folded.startswith(_RESERVED_PREFIX)


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


def check_message(value: object, what: str) -> int:
    """Return the number of a message, which may be given as text.

    Raises:
        BadRequest: if it is none; *what* names the field in the sentence.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
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


def parse_time(text: str, what: str) -> int:
    """Return the time, given in ISO 8601, in milliseconds since the epoch.

    Raises:
        BadRequest: if it is no such time, or says no zone; *what* names the field.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"'{what}' must be a time such as 2026-11-27T12:00:00Z, not '{text[:40]}'.")


def iso_time(milliseconds: int | None) -> str | None:
    """Return ISO 8601 UTC with milliseconds and ``Z``, or None for None."""
    if milliseconds is None:
        return None
    # A clock that is set wrong must not fail a request.
    seconds, rest = divmod(min(max(milliseconds, _FIRST_TIME), _LAST_TIME), 1000)
    return f"{_iso_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _iso_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
