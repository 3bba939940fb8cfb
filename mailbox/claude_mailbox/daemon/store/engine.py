"""What the ledger needs of a database: transactions, and a thread for calls that may block.

A job is a function of a `Transaction`, whatever the database; the ledger uses an `Engine`. Each
engine implements both, in its own folder.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError

T = TypeVar("T")


class Engine(Protocol):
    """A database with one transaction at a time.

    Methods that are not ``async`` may block. They run within ``on_thread``, never two at a time; or
    on the event loop, if the engine ``works_in_place``.

    Attributes:
        errors: what the methods raise when the database cannot be read or written; any other error
            is a bug.
        works_in_place: whether a short transaction is quick enough for the event loop.
        is_shared: whether other daemons use the same database.
    """

    errors: tuple[type[Exception], ...]
    works_in_place: bool
    is_shared: bool

    def on_thread(self, function: Callable[[], T]) -> Awaitable[T]:
        """Run *function* where it may block. Cannot be cancelled."""
        ...

    def begin(self, *, flush: bool, wait: bool) -> Transaction | None:
        """Begin a transaction; with *flush*, its commit flushes to the disk.

        Returns:
            The transaction, or None if the database is locked and *wait* is false.
        """
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: a failing disk can end one without a commit."""
        ...

    def savepoint(self) -> None:
        """Mark where a job begins."""
        ...

    def rollback_to_savepoint(self) -> None:
        """Undo what was done since the savepoint, and keep it."""
        ...

    def release_savepoint(self) -> None:
        """Forget the savepoint."""
        ...

    def commit(self) -> None:
        """Commit the transaction, and flush it if ``begin`` was told so."""
        ...

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        ...

    def may_retry(self, error: Exception) -> bool:
        """Return whether the transaction was undone, and may succeed if it is tried again.

        This happens after a conflict with another daemon, and when the connection was lost before the
        commit.
        """
        ...

    def translate(self, error: Exception) -> MailboxError:
        """Return an error with a message for people, for one of ``errors``.

        `DiskFailed` means that it is unknown what is stored; then only ``close`` may be called.
        """
        ...

    async def upkeep(self) -> None:
        """Do maintenance; called after each batch.

        Raises:
            DiskFailed: if it is unknown what is stored.
        """
        ...

    async def close(self) -> None:
        """Close the database; may be called more than once."""
        ...
