"""What a job can do to mailboxes, and to messages on their way in and out."""

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

# When a mailbox was last seen, as far as memory knows, and whether somebody watches it.
LookUpPresence = Callable[[str], tuple[int | None, bool]]


class MailboxStore(Protocol):
    """Mailboxes and their names, present and former."""

    def present_name(self, name: str) -> str | None:
        """Return the present name of the mailbox that has *name* or left it behind, or None."""
        ...

    def register(self, name: str, now: int) -> str:
        """Make the mailbox if there is none, note that it was used; return its present name.

        Raises:
            InvalidName: if there is none, and may be none of that name.
            QuotaFull: if there are too many mailboxes for another one. So do all operations that
                may make one.
        """
        ...

    def mark_seen(self, seen: Mapping[str, int]) -> None:
        """Write down when mailboxes were last used, by name; unknown names are left out."""
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
        """Return what there is, all together."""
        ...

    def describe(self, name: str, text: str | None, now: int) -> None:
        """Note what a mailbox says of itself, None for nothing any more."""
        ...

    def correct_times(self, now: int) -> None:
        """Correct the times of an earlier run whose clock was ahead of the present one.

        What ends or begins at a time moves by as much, so that it lasts as long as it should;
        sights are now at most.
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
        """Delete a mailbox if nothing pends in either direction; return whether that was done."""
        ...

    def delete_idle(self, idle_since: int, spare: Iterable[str] = ()) -> list[str]:
        """Delete what was not used since *idle_since* and may be deleted, but not *spare*.

        Returns:
            The names that are gone.
        """
        ...


class MailStore(Protocol):
    """Messages on their way in."""

    def send(
        self,
        draft: Draft,
        now: int,
        *,
        thread: int | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        """Store a message, in *thread*; both mailboxes are made if they are new.

        With a key that this sender, by any of its names, used within a day, store nothing and
        give that receipt again. *presence* is asked about the recipient, for the receipt.

        Raises:
            KeyReused: if the key was used for another message.
            QuotaFull: if the mailbox holds *max_pending* undelivered messages.
        """
        ...

    def forget_keys(self, before: int) -> int:
        """Delete the keys of what was sent before that time; return how many there were."""
        ...

    def peek(self, name: str) -> Backlog:
        """Count what waits in a mailbox, without touching it; an unknown one is empty."""
        ...


class LeaseStore(Protocol):
    """Messages on their way out. With *mailbox*, only leases on messages to it count."""

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
        """Lease the oldest waiting messages of a mailbox, which is made when it is new.

        *by* is the way that they are handed out, for those who ask what became of them. With
        *thread*, only its messages are.

        Takes whole messages: at most *limit*, at most *max_bytes* of bodies in UTF-8, at most
        *max_characters* as *measure* counts them; with *at_least_one* the first message is taken
        whatever its size. Without *lease_until* the leases are bound to the connection. Messages
        that were handed out *max_attempts* times, unless that is 0, are passed over and named.

        Raises:
            Renamed: if *present_name_only* and *name* is a former name.
        """
        ...

    def settle(self, tokens: Iterable[str], now: int, mailbox: str | None = None) -> LeaseOutcome:
        """Mark leased messages delivered. Doing it again with the same token is done, not lost."""
        ...

    def release(
        self, tokens: Iterable[str], mailbox: str | None = None
    ) -> tuple[LeaseOutcome, Sequence[str]]:
        """Put leased messages back in their places; also return the mailboxes that got some."""
        ...

    def extend(
        self, tokens: Iterable[str], lease_until: int, mailbox: str | None = None
    ) -> LeaseOutcome:
        """Give explicit leases a new end."""
        ...

    def expire(self, now: int) -> Sequence[str]:
        """Put messages back whose lease has run out; return the mailboxes that got some."""
        ...

    def next_expiry(self) -> int | None:
        """Return when the first explicit lease runs out."""
        ...

    def bound_tokens(self) -> set[str]:
        """Return the tokens of all connection-bound leases."""
        ...
