"""What the ledger needs of a database: transactions, and a place where calls may block.

A job is a function of a `Transaction` and knows no database; the ledger drives an `Engine`. Each
engine implements both in a folder of its own.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError

T = TypeVar("T")


class Engine(Protocol):
    """A database, as the ledger drives it: one transaction at a time, with savepoints if need be.

    The calls that are not ``async`` may block. They run within ``on_thread``, never two at a
    time, or on the event loop if the engine ``works_in_place``.

    Attributes:
        errors: what the calls raise when the database cannot be read or written; anything else
            is a bug.
        works_in_place: whether a short transaction is quick enough for the event loop.
        is_shared: whether other daemons work with the same database.
    """

    errors: tuple[type[Exception], ...]
    works_in_place: bool
    is_shared: bool

    def on_thread(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run *function* where it may block; wait for its end, whatever is cancelled meanwhile."""
        ...

    def begin(self, *, flush: bool, wait: bool) -> Transaction | None:
        """Begin a transaction, whose commit flushes to the disk if *flush*.

        Returns:
            None if another program holds the database locked and *wait* is false.
        """
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether there is one: a failing disk can end it without a commit."""
        ...

    def savepoint(self) -> None:
        """Mark where a job begins."""
        ...

    def rollback_to_savepoint(self) -> None:
        """Undo what was done since the savepoint, which stays."""
        ...

    def release_savepoint(self) -> None:
        """Forget the savepoint."""
        ...

    def commit(self) -> None:
        """End the transaction, and flush it if that was wanted at its beginning."""
        ...

    def rollback(self) -> None:
        """End the transaction, if there is one, and undo all of it."""
        ...

    def may_retry(self, error: Exception) -> bool:
        """Return whether the transaction came to nothing, and may well succeed if begun anew.

        Others were in its way, or the connection to the database was lost.
        """
        ...

    def translate(self, error: Exception) -> MailboxError:
        """Return, for one of ``errors``, the error that tells people what to do.

        It is `DiskFailed` if nobody knows what is stored: then nothing but ``close`` may follow.
        """
        ...

    async def upkeep(self) -> None:
        """Do what the database needs now and then; called between the batches.

        Raises:
            DiskFailed: if nobody knows what is stored.
        """
        ...

    async def close(self) -> None:
        """Write everything to its place and close; once is enough."""
        ...
