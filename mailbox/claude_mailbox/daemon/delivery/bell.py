"""What the broker wants of a doorbell (see doorbell.py), and the one that says nothing."""

from typing import Protocol


class Bell(Protocol):
    """Tells the owner of a mailbox, who does not wait in a line, of his mail. Never blocks."""

    def ring(self, mailbox: str) -> None:
        """Mail may wait in *mailbox*, and nobody stands there to take it."""
        ...

    def looking(self, mailbox: str) -> None:
        """Somebody begins to take what waits in *mailbox*."""
        ...

    def looked(self, mailbox: str) -> None:
        """Somebody has taken what waited in *mailbox*, or as much as he wanted."""
        ...


class NoBell:
    """A bell that nobody hears."""

    def ring(self, mailbox: str) -> None:
        """Do nothing."""

    looking = looked = ring
