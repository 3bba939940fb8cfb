"""What a job can do to sessions, groups and tokens, and to the limits between sessions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from claude_mailbox.model.conversations import Arrival
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import Candidate, ProjectSession
from claude_mailbox.model.limits import Exchange, Held
from claude_mailbox.model.mail import LeaseOutcome, Receipt
from claude_mailbox.model.sessions import (
    SessionEvent,
    SessionFacts,
    Shown,
    Start,
    Started,
    StatusCounts,
)
from claude_mailbox.model.tokens import Token


class SessionStore(Protocol):
    """Which session has which mailbox, and which client process runs which session."""

    def start(self, session: Start, now: int, *, is_alive: Callable[[str], bool]) -> Started:
        """Give a session its mailbox: the one it had, the one it takes over, or a new one.

        A session that another running client has cannot be taken over, and keeps its bell.
        """
        ...

    def has_other_client(
        self, session_id: str, client: str | None, is_alive: Callable[[str], bool]
    ) -> bool:
        """Return whether a running client other than *client* has the session."""
        ...

    def end(
        self,
        session_id: str,
        client: str | None,
        now: int,
        *,
        hands_on: bool,
        is_alive: Callable[[str], bool],
    ) -> tuple[str | None, bool]:
        """End a session, and delete its mailbox if nothing pends there in either direction.

        With *hands_on* the mailbox is kept for the next session of the same client. A session that
        another running client has does not end.

        Returns:
            The name of its mailbox, or None for an unknown session; and whether it was deleted.
        """
        ...

    def set_bell(self, session_id: str, *, has_bell: bool) -> None:
        """Write down whether mail can wake a session."""
        ...

    def mailbox_of(self, session_id: str) -> str | None:
        """Return the present name of a session's mailbox, or None when it has none."""
        ...

    def session_of(self, client: str) -> str | None:
        """Return the session that a client process runs, or None."""
        ...

    def with_bell(self) -> set[str]:
        """Return the sessions that have not ended and have a bell."""
        ...

    def waiting(self) -> Sequence[tuple[str, str]]:
        """Return the mailbox and session of each bell for which mail waits that is not quiet."""
        ...

    def status_counts(self, user: str) -> Sequence[StatusCounts]:
        """Return what waits for each session that has not ended, and for *user*."""
        ...

    def clients(self) -> Sequence[tuple[str, str]]:
        """Return the key of each client process, with the mailbox of its session."""
        ...


class ShownStore(Protocol):
    """What sessions do, and the messages that they were shown without proof of arrival.

    The record of a message is kept when it is released, because its mark may turn up when the
    session is resumed. It is deleted when the message is delivered.
    """

    def note_event(self, event: SessionEvent, now: int) -> None:
        """Write down what a hook reports of its session; ignore an unknown one."""
        ...

    def add(self, session_id: str, shown: Sequence[Shown], lease_until: int) -> LeaseOutcome:
        """Keep these leases until there is proof, at most until *lease_until*.

        Those of an unknown session are not changed, and count as lost.
        """
        ...

    def unproved(self, session_id: str) -> list[Shown]:
        """Return the session's unproved messages, oldest first."""
        ...

    def settle(self, session_id: str, tokens: Iterable[str], now: int) -> LeaseOutcome:
        """Mark messages delivered that the session's model has, even if they were released."""
        ...

    def release(self, session_id: str, tokens: Iterable[str]) -> tuple[LeaseOutcome, Sequence[str]]:
        """Put messages back that did not arrive; also return their mailboxes."""
        ...

    def holders(self) -> Sequence[tuple[str, bool, Sequence[str]]]:
        """Return the sessions with unproved messages, whether they have ended, and their clients."""
        ...

    def facts(self, mailbox: str | None = None) -> Mapping[str, tuple[SessionFacts, Sequence[str]]]:
        """Return the sessions of all mailboxes, or of one, with the keys of their clients."""
        ...


class GroupStore(Protocol):
    """Members of groups, and copies of messages to groups."""

    def join(self, group: str, mailbox: str, now: int) -> None:
        """Make a mailbox a member, unless it is one."""
        ...

    def leave(self, group: str, mailbox: str) -> bool:
        """End a membership; return whether there was one."""
        ...

    def members(self, group: str | None = None) -> Mapping[str, Sequence[str]]:
        """Return the members of one group or all, by group, in the order of joining."""
        ...

    def mark(self, group: str, numbers: Sequence[int]) -> None:
        """Mark messages that were just stored as copies of one to a group, in one thread."""
        ...

    def sent_before(self, draft: Draft, now: int) -> int | None:
        """Return the first copy of an earlier message with the same key, or None.

        Raises:
            KeyReused: if the key was used for another message.
        """
        ...

    def keep_key(self, draft: Draft, first: Receipt) -> None:
        """Keep the key of a message to a group, with the receipt of its *first* copy."""
        ...

    def copies(self, first: int) -> Sequence[Receipt]:
        """Return receipts of the copies of a message to a group."""
        ...

    def project_sessions(self) -> Sequence[ProjectSession]:
        """Return the sessions that have not ended, last active first."""
        ...

    def candidates(self, limit: int) -> Sequence[Candidate]:
        """Return mailboxes, last used first."""
        ...


class ExchangeStore(Protocol):
    """Recent messages to sessions, as the limits count them; and held messages."""

    def lately(self, number: int, since: int) -> Exchange:
        """Return the counted messages between the sender and the recipient of message *number*.

        Those sent after *since* for which ``note`` was called, so not that message itself.
        """
        ...

    def note(self, number: int) -> None:
        """Count a message."""
        ...

    def hold(self, number: int) -> None:
        """Hold a message that was just stored."""
        ...

    def is_held(self, number: int) -> bool:
        """Return whether a message is held."""
        ...

    def held(self, limit: int) -> Sequence[Held]:
        """Return held messages, oldest first."""
        ...

    def release(
        self, now: int, mailbox: str | None = None, peer: str | None = None
    ) -> tuple[Sequence[int], Sequence[Arrival]]:
        """Release held messages, and delete the counts.

        For all mailboxes; or for what *mailbox* sent and is to get, with *peer* if that is given.

        Returns:
            The numbers of the messages, and the arrivals: those that wait now, and are not delayed.
        """
        ...

    def forget(self, before: int) -> None:
        """Delete the counts of messages sent before that time."""
        ...


class TokenStore(Protocol):
    """Tokens of clients on other machines."""

    def add(self, token: Token) -> None:
        """Keep a new token."""
        ...

    def find(self, token_id: str) -> Token | None:
        """Return a token, or None if there is none of that id."""
        ...

    def all(self) -> Sequence[Token]:
        """Return all tokens, oldest first."""
        ...

    def delete(self, token_id: str) -> bool:
        """Forget a token; return whether there was one."""
        ...

    def note_use(self, token_id: str, now: int) -> None:
        """Write down when a token was last used."""
        ...
