"""Tells the other daemons on the same database what they should look at."""

from typing import Protocol


class Notifier(Protocol):
    """Takes notifications for other daemons. Never blocks."""

    def note_mail(self, mailbox: str) -> None:
        """Tell them that mail waits in *mailbox* and nobody here takes it."""
        ...

    def note_rename(self, old: str, new: str) -> None:
        """Tell them that a mailbox has a new name."""
        ...

    def note_other(self) -> None:
        """Tell them that something else changed, such as a mailbox that was deleted."""
        ...


class NullNotifier(Notifier):
    """For a daemon that has the database to itself."""

    def note_mail(self, mailbox: str) -> None:
        pass

    def note_rename(self, old: str, new: str) -> None:
        pass

    def note_other(self) -> None:
        pass
