"""Sessions, as hooks report and the daemon knows them."""

from dataclasses import dataclass

SESSION_STATES = ("working", "idle", "waiting", "ended", "unknown")
SHOWN_KINDS = ("context", "wake", "command")


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of a session.

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
class SessionEvent:
    """What a hook reports of its session.

    Attributes:
        session_id: the client's id of it.
        state: its new state, one of `SESSION_STATES`; None for no change.
        begins_turn: whether a prompt starts a turn.
        is_by_user: whether that prompt is the user's, and not a wake-up.
        transcript: path of the file that the client writes the conversation to, or None.
        cwd: its working folder, or None.
        project: name of its project, or None.
    """

    session_id: str
    state: str | None
    begins_turn: bool = False
    is_by_user: bool = False
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
class StatusCounts:
    """What the status line of a session tells, or of the person at this machine.

    Attributes:
        session_id: the client's id of the session; empty for the person.
        mailbox: name of the mailbox.
        unread: messages that wait there.
        questions: questions that it was asked and that are open.
    """

    session_id: str
    mailbox: str
    unread: int
    questions: int
