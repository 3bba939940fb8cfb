"""The JSON of answers as types: `render` makes them, the OpenAPI document describes them.

Types with a field ``from``, a keyword of Python, are written as calls.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from claude_mailbox.daemon.edge.description import Keywords
from claude_mailbox.model.conversations import OUTCOMES
from claude_mailbox.model.drafts import URGENCIES
from claude_mailbox.model.names import NAME_LIMIT
from claude_mailbox.model.sessions import SESSION_STATES

# Control characters, what ends a line, and what changes the direction of writing.
_FORBIDDEN = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# What Python's ``strip`` removes.
_BLANK = r"\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_LINE = f"[{_BLANK}]*[^{_FORBIDDEN}]*[{_BLANK}]*"
_NOT_BLANK = f"[{_BLANK}]*[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_BLANK}][^{_FORBIDDEN}]*[{_BLANK}]*"

# A text of one line, which may be empty.
Line = Annotated[str, Keywords(pattern=f"^{_LINE}$")]
Name = Annotated[str, Keywords(minLength=1, maxLength=NAME_LIMIT, description="Name of a mailbox")]
# A name in a request: blanks around it do not count.
GivenName = Annotated[Name, Keywords(pattern=f"^{_NOT_BLANK}$")]
# A name in a request that may be empty, which is like leaving it out.
NameOrNothing = Annotated[Name, Keywords(minLength=0, pattern=f"^({_NOT_BLANK})?$")]
# A name for which a mailbox may be made. Its rule is not a pattern, because not every implementation
# knows \p{L}, the letters of all scripts.
NewName = Annotated[
    Name,
    Keywords(
        description="Name of a mailbox: letters and digits of every script that are seen, blanks and"
        " . _ - + : / @, beginning with a letter, a digit or one of . _ + : /; 'user', 'all' and"
        " what begins with 'claude-mailbox' belong to the daemon"
    ),
]
GroupName = Annotated[
    str,
    Keywords(
        minLength=2,
        maxLength=NAME_LIMIT,
        pattern="^@",
        description="Name of a group: @ and what a mailbox may be named",
    ),
]
# A name of a group that may be empty, which is like leaving it out.
GroupOrNothing = Annotated[
    GroupName, Keywords(minLength=0, pattern="^(@.*)?$", description="Name of a group, or nothing")
]
Recipients = Annotated[
    NewName, Keywords(description="Name of a mailbox; or of a group, which begins with @")
]
# A text of digits, which some clients send as a number; without a sign where it is a name.
Whole = Annotated[int, Keywords(exclusiveMinimum=-(10**20), exclusiveMaximum=10**20)]
Digits = Annotated[Whole, Keywords(exclusiveMinimum=-1)]
# A number that some clients send as text, or an empty text.
SecondsText = Annotated[str, Keywords(pattern="^([1-9][0-9]{0,2})?$")]
Time = Annotated[str, Keywords(format="date-time")]
Count = Annotated[int, Keywords(minimum=0)]
Id = Annotated[int, Keywords(minimum=1, maximum=2**63 - 1, description="Number of a message")]
SessionState = Annotated[str, Keywords(enum=list(SESSION_STATES))]
GroupKind = Annotated[str, Keywords(enum=["joined", "project", "all"])]
MessageState = Annotated[
    str,
    Keywords(enum=["waiting", "leased", "delivered", "held", "expired", "parked", "deleted"]),
]


class Envelope(TypedDict):
    """What a message may have besides its text; what says nothing is left out."""

    thread: NotRequired[Id]
    replyTo: NotRequired[Id]
    final: NotRequired[bool]
    urgency: NotRequired[Annotated[str, Keywords(enum=list(URGENCIES))]]
    answerBy: NotRequired[Time]
    notice: NotRequired[str]


_Delivery = TypedDict(
    "_Delivery",
    {
        "id": Id,
        "from": Name,
        "to": NotRequired[GroupName],
        "body": str,
        "sentAt": Time,
        "attempts": Count,
        "fromUser": NotRequired[bool],
        "lease": NotRequired[str],
    },
)


class Delivery(_Delivery, Envelope):
    """A message that is handed out."""


class Recipient(TypedDict):
    """What is known of the mailbox that a message was sent to."""

    known: bool
    lastSeenAt: Time | None
    watching: bool
    pending: Count
    state: SessionState
    wakes: bool
    suggestions: NotRequired[list[Name]]


class Guard(TypedDict):
    """How many messages two sessions have exchanged, and what follows from it."""

    used: Count
    limit: Count
    resetsAt: NotRequired[Time]
    note: str


Receipt = TypedDict(
    "Receipt",
    {
        "id": Id,
        "from": Name,
        "to": Name,
        "sentAt": Time,
        "state": Literal["queued", "held"],
        "recipient": Recipient,
        "forwardedFrom": NotRequired[Name],
        "guard": NotRequired[Guard],
        "duplicate": NotRequired[bool],
        "answer": NotRequired[Delivery | None],
        "notice": NotRequired[Delivery],
    },
)


class CopyRecipient(TypedDict):
    """A member of a group that a message was sent to, and the number of its copy."""

    id: Id
    name: Name
    state: SessionState
    wakes: bool
    held: NotRequired[bool]


GroupReceipt = TypedDict(
    "GroupReceipt",
    {
        "id": Id,
        "from": Name,
        "to": GroupName,
        "sentAt": Time,
        "state": Literal["queued", "held"],
        "recipients": list[CopyRecipient],
        "guard": NotRequired[Guard],
        "duplicate": NotRequired[bool],
    },
)

Held = TypedDict("Held", {"id": Id, "from": Name, "to": Name, "sentAt": Time})


class Released(TypedDict):
    """Numbers of the messages that are held no more."""

    released: list[Id]


_MessageStatus = TypedDict(
    "_MessageStatus",
    {
        "id": Id,
        "from": Name,
        "to": Name,
        "sentAt": Time,
        "state": MessageState,
        "attempts": Count,
        "deliveredAt": NotRequired[Time],
        "by": NotRequired[str],
        "group": NotRequired[GroupName],
        "outcome": NotRequired[Annotated[str, Keywords(enum=list(OUTCOMES))]],
        "repliedBy": NotRequired[Id],
    },
)


class MessageStatus(_MessageStatus, Envelope):
    """What became of a message; ``outcome`` is that of a question."""


class HistoryEntry(MessageStatus):
    """A message in a history; ``bodyLength`` says that its body was cut."""

    body: str
    bodyLength: NotRequired[Count]


class Backlog(TypedDict):
    """What waits in a mailbox."""

    pending: Count
    oldestAt: Time | None
    messages: NotRequired[list[HistoryEntry]]


class Listing(TypedDict):
    """One row of the list of mailboxes."""

    name: Name
    lastSeenAt: Time | None
    pending: Count
    pendingForYou: Count
    watching: bool
    state: SessionState
    since: NotRequired[Time]
    project: NotRequired[str]
    cwd: NotRequired[str]
    description: NotRequired[str]


class Group(TypedDict):
    """A group and who belongs to it; ``project`` and ``all`` are those that nobody joins."""

    name: GroupName
    kind: GroupKind
    members: list[Name]


class MailboxDescription(TypedDict):
    """What a mailbox says of itself."""

    name: Name
    description: str | None


Rename = TypedDict("Rename", {"from": Name, "to": Name, "messagesTransferred": Count})


class LeaseOutcome(TypedDict):
    """Which leases an ack, a release or an extension reached, and which had ended before."""

    done: list[str]
    lost: list[str]


class Shown(TypedDict):
    """What a session was shown without proof of arrival yet."""

    lease: str
    kind: str
    isPast: bool
    shownAt: Time
    transcript: str
    inode: Count
    size: Count


class Unproved(TypedDict):
    """All that a session was shown without proof of arrival yet."""

    unproved: list[Shown]


class ProofOutcome(TypedDict):
    """What became of the leases that had arrived, and of those that were lost."""

    arrived: LeaseOutcome
    lost: LeaseOutcome


class Health(TypedDict):
    """How the daemon is.

    ``missing`` names addresses that it could not have, ``daemons`` those that share its database.
    """

    status: Literal["ok"]
    version: str
    dbPath: str
    pid: Count
    addresses: list[str]
    missing: NotRequired[list[str]]
    mcp: Literal["starting", "ready"]
    waiters: Count
    daemons: NotRequired[list[str]]
    maxBodyBytes: Count


class Deleted(TypedDict):
    """Whether the mailbox was deleted: not while mail pends in either direction."""

    deleted: bool


class Proof(TypedDict):
    """Proof that this daemon can read the secret in the home folder."""

    proof: str


class Welcome(TypedDict):
    """What a session gets when it starts."""

    name: Name
    pending: Count
    bell: str | None
    peers: list[Listing]
    morePeers: Count


class Farewell(TypedDict):
    """The mailbox of a session that ended, if it had one, and whether it was deleted."""

    name: Name | None
    deleted: bool


class SessionMailbox(TypedDict):
    """A session and its mailbox."""

    sessionId: str
    name: Name


class SubagentCall(TypedDict):
    """A tool call that a subagent makes."""

    toolUseId: str


class Parked(TypedDict):
    """Which of the messages were parked."""

    done: list[Id]


class Error(TypedDict):
    """What went wrong: a sentence that says what to do, and a stable code."""

    error: str
    reason: str
    to: NotRequired[Name]
    recipients: NotRequired[list[Name]]
    suggestions: NotRequired[list[Name]]
    retryAt: NotRequired[Time]


class Token(TypedDict):
    """A token of clients on other machines; ``mailboxes`` may have stars for any text."""

    id: str
    mailboxes: list[str]
    createdAt: Time
    expiresAt: Time
    lastUsedAt: Time | None


class NewToken(Token):
    """A token that was just made: nobody can see it again."""

    token: str


class Ring(TypedDict):
    """Mail waits for the session, which is to be woken."""

    ring: Literal[True]


class Revoked(TypedDict):
    """Which token was revoked."""

    revoked: str
