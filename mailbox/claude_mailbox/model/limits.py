"""Limits on messages between mailboxes, and what a sender is told about them."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.model.names import USER

MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The configured limits; 0 switches one off.

    Attributes:
        per_minute: messages from one mailbox to a session.
        guard_after: messages between two sessions after which the sender is told.
        hold_after: messages between two sessions from which on they are held.
        window: how long a message counts between sessions, in milliseconds.
        user: name of the mailbox of the person at this machine, which has no limits.
    """

    per_minute: int = 60
    guard_after: int = 12
    hold_after: int = 40
    window: int = 10 * MINUTE
    user: str = USER


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A message of an exchange: whether it is from the same sender, and its time in milliseconds."""

    is_own: bool
    at: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """The recent messages between two mailboxes, since the last prompt of a user.

    Attributes:
        messages: oldest first.
        is_held: whether some are held.
    """

    messages: Sequence[Exchanged]
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """What a sender is told of a long exchange.

    Attributes:
        used: how many messages were exchanged, this one included.
        limit: from how many on messages are held; if none are, from how many on a sender is told.
        window: how long a message counts, in milliseconds.
        resets_at: when no message will count any more if none is sent, in milliseconds since the
            epoch; None if this message is held.
        holds: whether messages are held from *limit* on.
    """

    used: int
    limit: int
    window: int
    resets_at: int | None
    holds: bool

    @property
    def is_held(self) -> bool:
        """Whether this message is held."""
        return self.resets_at is None


@dataclass(frozen=True, slots=True)
class Held:
    """A held message; *sent_at* is in milliseconds since the epoch."""

    id: int
    sender: str
    recipient: str
    sent_at: int
