"""What a job can do to mailboxes, messages and leases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import (
    Backlog,
    Claim,
    Delivery,
    LeaseOutcome,
    Listing,
    Receipt,
    Rename,
    Totals,
    shown_characters,
)

# Returns when a mailbox was last seen, as far as memory knows, and whether it is watched.
LookUpPresence = Callable[[str], tuple[int | None, bool]]


class MailboxStore(Protocol):
    """Mailboxes and their names, present and former."""

    def present_name(self, name: str) -> str | None:
        """Return the present name of the mailbox that has, or had, *name*; or None."""
        ...

    def register(self, name: str, now: int) -> str:
        """Make the mailbox if it is new, and note that it was used; return its present name.

        Raises:
            InvalidName: if it is new, and no mailbox may have that name.
            QuotaFull: if there are too many mailboxes. So do all operations that may make one.
        """
        ...

    def mark_seen(self, seen: Mapping[str, int]) -> None:
        """Write when mailboxes were last used, by name; unknown names are ignored."""
        ...

    def listings(
        self, caller: str | None, seen_since: int, awake: Iterable[str] = ()
    ) -> list[Listing]:
        """Return the mailboxes used since *seen_since*, most recent first.

        Also the caller's own, those of senders with mail for the caller, and those named in
        *awake*, however old.
        """
        ...

    def totals(self) -> Totals:
        """Return the totals for ``/metrics``."""
        ...

    def describe(self, name: str, text: str | None, now: int) -> None:
        """Set the description of a mailbox; None removes it."""
        ...

    def correct_times(self, now: int) -> None:
        """Correct times of an earlier run whose clock was ahead of the present one.

        Ends of leases, delays and so on move by the difference, so that they keep their length;
        times of use become *now* at most.
        """
        ...

    def rename(self, current: str, to: str, now: int) -> Rename:
        """Give a mailbox a new name and leave the old one behind as an alias.

        Raises:
            BadRequest: if it has that name already.
            InvalidName: if no new mailbox may have it.
            NotFound: if there is no mailbox to rename.
            TargetExists: if the name is another mailbox's, or was left behind by another one.
        """
        ...

    def delete(self, name: str) -> bool:
        """Delete a mailbox if nothing pends in either direction; return whether it was deleted."""
        ...

    def delete_idle(self, idle_since: int, spare: Iterable[str] = ()) -> list[str]:
        """Delete mailboxes not used since *idle_since*, without pending mail, and not in *spare*.

        Returns:
            The names of the deleted ones.
        """
        ...


class MailStore(Protocol):
    """Messages are sent and counted."""

    def send(
        self,
        draft: Draft,
        now: int,
        *,
        thread: int | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        """Store a message, in *thread*; make both mailboxes if they are new.

        If this sender, by any of its names, used the draft's key within a day, store nothing and
        return that receipt again. *presence* is called for the recipient.

        Raises:
            KeyReused: if the key was used for another message.
            QuotaFull: if *max_pending* messages pend in the mailbox.
        """
        ...

    def forget_keys(self, before: int) -> int:
        """Delete the keys of messages sent before that time; return how many there were."""
        ...

    def peek(self, name: str) -> Backlog:
        """Count the messages that wait in a mailbox; an unknown one is empty."""
        ...


class LeaseStore(Protocol):
    """Messages are claimed, and leases ended. With *mailbox*, leases on other messages are lost."""

    def claim(
        self,
        name: str,
        now: int,
        *,
        limit: int,
        max_bytes: int,
        lease_until: int | None = None,
        max_characters: int | None = None,
        measure: Callable[[Delivery], int] = shown_characters,
        at_least_one: bool = True,
        present_name_only: bool = False,
        by: str | None = None,
        max_attempts: int = 0,
        thread: int | None = None,
    ) -> Claim:
        """Lease the oldest waiting messages of a mailbox, and make the mailbox if it is new.

        Args:
            name: the mailbox.
            now: milliseconds since the epoch.
            limit: most messages.
            max_bytes: most bytes of their bodies in UTF-8.
            lease_until: end of the leases; None for leases that are bound to the connection.
            max_characters: most characters, as *measure* counts them; None for no limit.
            measure: returns the size of a message in characters.
            at_least_one: take the first message whatever its size.
            present_name_only: refuse a former name.
            by: how they are delivered, as their receipts say.
            max_attempts: messages with so many attempts are not leased but returned as exhausted; 0
                for no limit.
            thread: take messages of this thread alone.

        Raises:
            Renamed: if *present_name_only* and *name* is a former name.
        """
        ...

    def settle(self, tokens: Iterable[str], now: int, mailbox: str | None = None) -> LeaseOutcome:
        """Mark leased messages delivered. A token that was settled before counts as done again."""
        ...

    def release(
        self, tokens: Iterable[str], mailbox: str | None = None
    ) -> tuple[LeaseOutcome, Sequence[str]]:
        """Put leased messages back in their places; also return their mailboxes."""
        ...

    def extend(
        self, tokens: Iterable[str], lease_until: int, mailbox: str | None = None
    ) -> LeaseOutcome:
        """Give explicit leases a new end."""
        ...

    def expire(self, now: int) -> Sequence[str]:
        """Put messages back whose lease has run out; return their mailboxes."""
        ...

    def next_expiry(self) -> int | None:
        """Return when the first explicit lease runs out."""
        ...

    def bound_tokens(self) -> set[str]:
        """Return the tokens of all connection-bound leases."""
        ...
