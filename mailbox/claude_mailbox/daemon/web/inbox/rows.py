"""Rows of lists: mailboxes by project, and messages, where the copies to a group are one row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from claude_mailbox.model.history import HistoryEntry, MessageStatus
from claude_mailbox.model.mail import Listing


@dataclass(frozen=True, slots=True)
class Row:
    """A mailbox, and whether it is watched."""

    listing: Listing
    watching: bool

    @property
    def project(self) -> str:
        """Name of its project, or an empty text."""
        return (self.listing.session and self.listing.session.project) or ""

    @property
    def state(self) -> str:
        """State of its session."""
        return self.listing.session.state if self.listing.session else "unknown"

    @property
    def wakes(self) -> bool:
        """Whether mail wakes it."""
        return self.watching or bool(self.listing.session and self.listing.session.has_bell)

    @property
    def reading(self) -> str:
        """When its session will read waiting mail, in words."""
        if self.state == "working":
            return "reads it after its next step"
        if self.state == "ended":
            return "reads it when it is resumed"
        return "about to be woken" if self.wakes else "reads it at its next look"


def by_project(found: Iterable[tuple[Listing, bool]], user: str) -> list[tuple[str, list[Row]]]:
    """Return the rows of each project, those without one last, and without that of *user*."""
    rows = [Row(listing, watching) for listing, watching in found if listing.name != user]
    # The sort is stable: within a project they stay in the order of last use.
    rows.sort(key=lambda row: (not row.project, row.project.casefold()))
    return [(project, list(group)) for project, group in groupby(rows, lambda row: row.project)]


@dataclass(frozen=True, slots=True)
class Item:
    """A message in a list.

    Attributes:
        entry: the message; of one to a group, the first copy.
        copies: the states of all copies on the page, by number.
    """

    entry: HistoryEntry
    copies: Sequence[MessageStatus]

    @property
    def group(self) -> str | None:
        """The group that it was sent to, or None."""
        envelope = self.entry.status.envelope
        return None if envelope is None else envelope.group

    @property
    def delivered(self) -> int:
        """How many copies were delivered."""
        return sum(copy.state == "delivered" for copy in self.copies)


def items(entries: Iterable[HistoryEntry]) -> list[Item]:
    """Return the messages in their order, the copies of one to a group as one item."""
    found = []
    for _, copies in groupby(entries, _sending):
        together = sorted(copies, key=lambda entry: entry.status.id)
        found.append(Item(together[0], [entry.status for entry in together]))
    return found


def _sending(entry: HistoryEntry) -> tuple[object, ...]:
    """Return a key that only copies of the same message share."""
    status = entry.status
    if status.envelope is None or status.envelope.group is None:
        return (status.id,)
    return (status.sender, status.envelope.group, status.envelope.thread, status.sent_at)
