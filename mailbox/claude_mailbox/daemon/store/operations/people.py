"""What a job can do to those who write and read: sessions, groups, tokens."""

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
        """Give a session its mailbox: the one that it had, or takes over, or a new one.

        What another living client runs cannot be taken over, nor can its bell be taken away.
        """
        ...

    def has_other_client(
        self, session_id: str, client: str | None, is_alive: Callable[[str], bool]
    ) -> bool:
        """Return whether a living client other than *client* runs the session."""
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
        """End a session; delete its mailbox when nothing pends there in either direction.

        With *hands_on* the mailbox stays in any case, for the next session of the same client. A
        session that another living client runs has not ended, whoever says so.

        Returns:
            The name of its mailbox, None for an unknown session; and whether it was deleted.
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
        """Return the sessions that have not ended and watch a bell."""
        ...

    def waiting(self) -> Sequence[tuple[str, str]]:
        """Return mailbox and session of each bell that has reason to ring: mail waits."""
        ...

    def status_counts(self, user: str) -> Sequence[StatusCounts]:
        """Return what there is to tell of each living session, and of the mailbox of *user*."""
        ...

    def clients(self) -> Sequence[tuple[str, str]]:
        """Return each client process's key with the mailbox of the session that it runs."""
        ...


class ShownStore(Protocol):
    """What sessions do, and what they were shown without proof of arrival yet.

    A message that was given back keeps its record: its mark may still turn up when the session is
    resumed. The records of a message go when it is delivered.
    """

    def note_event(self, event: SessionEvent, now: int) -> None:
        """Write down what a hook tells of its session; an unknown session is left alone."""
        ...

    def add(self, session_id: str, shown: Sequence[Shown], lease_until: int) -> LeaseOutcome:
        """Keep these leases until *lease_until* or proof; return which were held.

        Of an unknown session nobody would tell: its leases count as lost, and stay as they were.
        """
        ...

    def unproved(self, session_id: str) -> list[Shown]:
        """Return what the session was shown without proof, oldest first."""
        ...

    def settle(self, session_id: str, tokens: Iterable[str], now: int) -> LeaseOutcome:
        """Mark messages delivered that the session's model has, even if they were given back."""
        ...

    def release(self, session_id: str, tokens: Iterable[str]) -> tuple[LeaseOutcome, Sequence[str]]:
        """Put messages back that did not arrive; also return the mailboxes that got some."""
        ...

    def holders(self) -> Sequence[tuple[str, bool, Sequence[str]]]:
        """Return the sessions that hold leases without proof.

        Each with whether it has ended, and its clients' keys.
        """
        ...

    def facts(self, mailbox: str | None = None) -> Mapping[str, tuple[SessionFacts, Sequence[str]]]:
        """Return what is known of the sessions that have mailboxes, by mailbox; or of one.

        Each with the keys of the client processes that run it.
        """
        ...


class GroupStore(Protocol):
    """Who belongs to which group, and who there is to be written to."""

    def join(self, group: str, mailbox: str, now: int) -> None:
        """Make a mailbox a member, which it may be already."""
        ...

    def leave(self, group: str, mailbox: str) -> bool:
        """End a membership; return whether there was one."""
        ...

    def members(self, group: str | None = None) -> Mapping[str, Sequence[str]]:
        """Return the members of one group or all, by group, in the order of joining."""
        ...

    def mark(self, group: str, numbers: Sequence[int]) -> None:
        """Let messages that were just stored be the copies of one to a group, in one thread."""
        ...

    def sent_before(self, draft: Draft, now: int) -> int | None:
        """Return the first copy of what the sender sent to the group with this key, or None.

        Raises:
            KeyReused: if the key was used for another message.
        """
        ...

    def keep_key(self, draft: Draft, first: Receipt) -> None:
        """Remember the key of a message to a group by the receipt of its *first* copy."""
        ...

    def copies(self, first: int) -> Sequence[Receipt]:
        """Return the copies of a message to a group, as far as is known of them now."""
        ...

    def project_sessions(self) -> Sequence[ProjectSession]:
        """Return where the sessions work that have not ended, last active first."""
        ...

    def candidates(self, limit: int) -> Sequence[Candidate]:
        """Return the mailboxes that were used last, newest first."""
        ...


class ExchangeStore(Protocol):
    """What was written to sessions lately, for the limits; and the messages that they hold."""

    def lately(self, number: int, since: int) -> Exchange:
        """Return what the sender and the recipient of message *number* exchanged after *since*.

        What ``note`` was not called for is not in it, such as that message itself.
        """
        ...

    def note(self, number: int) -> None:
        """Let a message count."""
        ...

    def hold(self, number: int) -> None:
        """Take a message that was just stored out of its line, to be held."""
        ...

    def is_held(self, number: int) -> bool:
        """Return whether a message is held."""
        ...

    def held(self, limit: int) -> Sequence[Held]:
        """Return messages that are held, oldest first."""
        ...

    def release(
        self, now: int, mailbox: str | None = None, peer: str | None = None
    ) -> tuple[Sequence[int], Sequence[Arrival]]:
        """Put what is held into its place in the line, and let nothing count any more.

        All of it, or what *mailbox* sent and is to get, or of that what it exchanged with *peer*.

        Returns:
            The numbers of the messages, and those of them that wait now: not the delayed ones.
        """
        ...

    def forget(self, before: int) -> None:
        """Forget what was sent before that time: it counts no more."""
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
