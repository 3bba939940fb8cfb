"""What the person at this machine may read: all mailboxes and all mail, in pages."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.model.history import HistoryPage, HistoryQuery
from claude_mailbox.model.mail import Listing


class OverviewStore(Protocol):
    """All mailboxes and their mail. Messages are newest first, and cut to *excerpt* characters."""

    def mailboxes(
        self,
        seen_since: int,
        awake: Iterable[str] = (),
        *,
        containing: str = "",
        limit: int,
        offset: int = 0,
    ) -> tuple[Sequence[Listing], int]:
        """Return a page of mailboxes, last used first, and how many there are in all.

        Those used since *seen_since* or named in *awake*, with *containing* in their names.
        """
        ...

    def mailbox(self, name: str) -> Listing | None:
        """Return one mailbox by its present name, or None."""
        ...

    def recent(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        thread: int | None = None,
        group: str | None = None,
        limit: int,
        excerpt: int,
    ) -> HistoryPage:
        """Return messages with numbers above *after* and below *before*.

        With *thread* or *group*, only messages in that thread, or to that group.
        """
        ...

    def search(self, query: HistoryQuery, excerpt: int) -> HistoryPage:
        """Return messages that match the words and times of *query*.

        It finds only messages that are newer than every message not indexed yet.
        """
        ...

    def held(self, *, limit: int, excerpt: int) -> HistoryPage:
        """Return held messages."""
        ...
