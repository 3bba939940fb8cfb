"""What a daemon learns of the others that share its database."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Notice:
    """What happened on another daemon.

    Attributes:
        mail: mailboxes that mail waits in.
        renamed: old and new names of mailboxes.
        other: whether something else changed, such as names that are gone or a daemon that came.
        is_beginning: whether notices may have been lost until now.
    """

    mail: set[str] = field(default_factory=set)
    renamed: set[tuple[str, str]] = field(default_factory=set)
    other: bool = False
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What a look around yielded.

    Attributes:
        daemons: the names of those that are alive, ours included.
        put_back: mailboxes that got back what a dead daemon had leased.
        to_call: those of the mailboxes in question where mail waits, or that have another name.
    """

    daemons: Sequence[str]
    put_back: Sequence[str]
    to_call: Sequence[str]
