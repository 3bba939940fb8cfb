"""What a job can do to mail, mailboxes, leases and sessions, whatever the database.

All times are milliseconds since the epoch, and arguments: an engine has no clock. An operation
that refuses raises an error of `claude_mailbox.errors`, and its job's changes are undone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from claude_mailbox.daemon.store.overview import OverviewStore
from claude_mailbox.model.conversations import (
    Arrival,
    Notice,
    OpenQuestion,
    Original,
    Returned,
)
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import Candidate, Place
from claude_mailbox.model.history import HistoryPage, HistoryQuery, MessageStatus
from claude_mailbox.model.limits import Exchange, Held
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
from claude_mailbox.model.sessions import SessionEvent, SessionFacts, Shown, Start, Started
from claude_mailbox.model.tokens import Token

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

    def turn_back(self, now: int) -> None:
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


class ConversationStore(Protocol):
    """What messages have to do with each other and with the clock: threads, questions, times."""

    def original(self, number: int, mailbox: str) -> Original | None:
        """Return the message that *mailbox*, which sent or got it, may reply to; or None."""
        ...

    def answer(self, reply: int) -> int | None:
        """Let *reply* answer the question that it replies to; return its number if it does.

        It does if it is final, and goes from the asked mailbox to the asker. When the question
        has ended otherwise before, the notice of that rings nobody any more.
        """
        ...

    def open_questions(self) -> Sequence[OpenQuestion]:
        """Return all questions without an outcome."""
        ...

    def questions_between(self, asker: str, asked: str) -> Sequence[int]:
        """Return the open questions from one mailbox to another."""
        ...

    def close(self, question: int, outcome: str) -> None:
        """Give an open question its outcome."""
        ...

    def claim_answer(self, question: int, *, lease_until: int | None, by: str) -> Delivery | None:
        """Lease what ended a question, the answer or the notice, if it waits in its mailbox."""
        ...

    def notify(self, about: int, notice: str, body: str, now: int) -> Notice | None:
        """Store a message by the daemon to the sender of *about*; None if his mailbox is gone.

        It is in the thread of *about*, and as quiet.
        """
        ...

    def show_delayed(self, now: int) -> Sequence[Arrival]:
        """Let messages wait whose delay is over."""
        ...

    def take_back(self, now: int) -> Sequence[Returned]:
        """Mark as expired what was to be delivered by *now* and nobody holds."""
        ...

    def next_due(self, now: int) -> int | None:
        """Return when the next delay, time to live or deadline is over."""
        ...

    def park(self, number: int) -> Returned:
        """Take a waiting message out of the line."""
        ...

    def parked(self, mailbox: str | None = None) -> Sequence[MessageStatus]:
        """Return what is parked, oldest first; with *mailbox*, only what it sent or got."""
        ...

    def retry(self, numbers: Iterable[int], now: int) -> tuple[Sequence[int], Sequence[str]]:
        """Let parked messages wait again, as if never handed out; also return their mailboxes."""
        ...

    def drop(self, numbers: Iterable[int]) -> Sequence[int]:
        """Mark parked messages as deleted; return which were parked."""
        ...


class HistoryStore(Protocol):
    """What mailboxes sent and got, and what became of it. Whoever asks sees only his own."""

    def status(self, number: int, mailbox: str) -> MessageStatus | None:
        """Return what became of a message; None unless *mailbox* sent or got it."""
        ...

    def history(self, mailbox: str, query: HistoryQuery) -> HistoryPage:
        """Return whole messages that *mailbox* sent or got; the first one may be cut.

        With words, only messages are found that are newer than all that are not indexed yet.
        """
        ...

    def waiting(self, mailbox: str, limit: int, max_characters: int) -> HistoryPage:
        """Return messages that wait in *mailbox*, in the order in which they are handed out.

        They are whole; only the first one may be cut.
        """
        ...

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        """Delete the texts of some messages above *after* that are not on their way any more.

        Only of those sent before that time, and only what the search has: the facts about the
        messages stay.

        Returns:
            Where to go on, or None when there is nothing more to look at.
        """
        ...

    def index(self) -> bool:
        """Index some messages for the search by words, newest first; return whether some remain."""
        ...


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

    def listeners(self) -> set[str]:
        """Return the sessions that have not ended and watch a bell."""
        ...

    def waiting(self) -> Sequence[tuple[str, str]]:
        """Return mailbox and session of each bell that has reason to ring: mail waits."""
        ...

    def unread(self) -> Sequence[tuple[str, str, int]]:
        """Return session, mailbox and count of waiting messages, of each living session with any."""
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

    def places(self) -> Sequence[Place]:
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


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a job can do. The ledger has begun the transaction, and will commit it."""

    mailboxes: MailboxStore
    mail: MailStore
    leases: LeaseStore
    conversation: ConversationStore
    history: HistoryStore
    sessions: SessionStore
    shown: ShownStore
    groups: GroupStore
    exchanges: ExchangeStore
    tokens: TokenStore
    overview: OverviewStore
