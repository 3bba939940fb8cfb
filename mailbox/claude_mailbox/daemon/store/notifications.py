"""What a daemon learns of the others that share its database."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Notification:
    """What happened on another daemon.

    Attributes:
        mail: mailboxes in which mail waits.
        renamed: old and new names of mailboxes.
        other: whether something else changed, such as a deleted mailbox or a new daemon.
        is_beginning: whether notifications may have been lost until now.
    """

    mail: set[str] = field(default_factory=set)
    renamed: set[tuple[str, str]] = field(default_factory=set)
    other: bool = False
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class PollResult:
    """What a poll of the database found.

    Attributes:
        daemons: the names of the running ones, ours included.
        released: mailboxes that got back what a dead daemon had leased.
        to_call: watched mailboxes in which mail waits, or that have another name.
    """

    daemons: Sequence[str]
    released: Sequence[str]
    to_call: Sequence[str]
