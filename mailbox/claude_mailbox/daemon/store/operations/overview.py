"""What the person at this machine may ask for, whatever the database: everybody's mail, in pages."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.model.history import HistoryPage, HistoryQuery
from claude_mailbox.model.mail import Listing


class OverviewStore(Protocol):
    """All mailboxes and their mail. Messages come newest first, with the beginnings of their texts."""

    def mailboxes(
        self,
        seen_since: int,
        awake: Iterable[str] = (),
        *,
        containing: str = "",
        limit: int,
        offset: int = 0,
    ) -> tuple[Sequence[Listing], int]:
        """Return a page of the mailboxes used since *seen_since*, most recent first.

        Also those named in *awake*, however old; and of all these only the ones with *containing*
        in their names.

        Returns:
            The page, and how many there are in all.
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
        """Return messages with numbers above *after* and below *before*, and of a *thread*, or to a
        *group*.

        Of each text at most *excerpt* characters. So do the following two.
        """
        ...

    def search(self, query: HistoryQuery, excerpt: int) -> HistoryPage:
        """Return messages that have the words, and were sent when *query* says.

        Only those that are newer than all that are not indexed yet.
        """
        ...

    def held(self, *, limit: int, excerpt: int) -> HistoryPage:
        """Return messages that are held."""
        ...
