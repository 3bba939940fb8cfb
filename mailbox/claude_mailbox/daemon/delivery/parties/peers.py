"""Other daemons on the same database, as far as they have to be told."""

from typing import Protocol


class Peers(Protocol):
    """Takes what other daemons should know. Never blocks."""

    def note_mail(self, mailbox: str) -> None:
        """Tell that mail waits in *mailbox* and nobody here takes it."""
        ...

    def note_rename(self, old: str, new: str) -> None:
        """Tell that a mailbox has a new name."""
        ...

    def note_other(self) -> None:
        """Tell that mailboxes are gone."""
        ...


class NoPeers(Peers):
    """A daemon that has the database to itself."""

    def note_mail(self, mailbox: str) -> None:
        pass

    def note_rename(self, old: str, new: str) -> None:
        pass

    def note_other(self) -> None:
        pass
