"""How much mailboxes may write to each other, and what a sender is told about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.model.names import USER

MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be written. A number of 0 switches its limit off.

    Attributes:
        per_minute: messages from one mailbox to a session.
        guard_after: messages between two sessions, after which they are told.
        hold_after: messages between two sessions, from which on they are held.
        window: for how long a message counts between sessions, in milliseconds.
        user: name of the mailbox of the person at this machine, which has no limits.
    """

    per_minute: int = 60
    guard_after: int = 12
    hold_after: int = 40
    window: int = 10 * MINUTE
    user: str = USER


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One message of an exchange: whether the sender at hand wrote it, and when (milliseconds)."""

    is_own: bool
    at: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """What two mailboxes wrote to each other lately, without a prompt of their users.

    Attributes:
        messages: oldest first.
        is_held: whether some of it is held.
    """

    messages: Sequence[Exchanged]
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """What a session is told when it exchanges many messages with another one.

    Attributes:
        used: how many they have exchanged, this one included.
        limit: the number from which on messages are held; if they never are, that of this notice.
        window: for how long a message counts, in milliseconds.
        resets_at: when nothing counts any more, if nobody writes until then, in milliseconds since
            the epoch; None if this message is held, which only a user ends.
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
    """A message that is held; the time in milliseconds since the epoch."""

    id: int
    sender: str
    recipient: str
    sent_at: int
