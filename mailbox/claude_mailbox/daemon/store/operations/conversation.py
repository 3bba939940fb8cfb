"""Threads, questions, times and parked messages; and the history of messages."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.model.conversations import Arrival, Notice, OpenQuestion, Original, Returned
from claude_mailbox.model.history import HistoryPage, HistoryQuery, MessageStatus
from claude_mailbox.model.mail import Delivery


class ConversationStore(Protocol):
    """Threads, questions and notices, delays and times to live, parked messages."""

    def original(self, number: int, mailbox: str) -> Original | None:
        """Return the message to reply to, or None if *mailbox* neither sent nor got it."""
        ...

    def answer(self, reply: int) -> int | None:
        """End the question that *reply* answers; return its number, or None if it answers none.

        It must be final, and from the asked mailbox to the asker. If the question has ended before,
        the waiting notice of that becomes quiet.
        """
        ...

    def open_questions(self) -> Sequence[OpenQuestion]:
        """Return the questions without an outcome, except those whose answer is held or delayed."""
        ...

    def questions_between(self, asker: str, asked: str) -> Sequence[int]:
        """Return the open questions of *asker* to *asked*."""
        ...

    def close(self, question: int, outcome: str) -> None:
        """Give an open question its outcome."""
        ...

    def claim_answer(self, question: int, *, lease_until: int | None, by: str) -> Delivery | None:
        """Lease the answer or notice that ended a question; None if it does not wait any more."""
        ...

    def notify(self, about: int, notice: str, body: str, now: int) -> Notice | None:
        """Store a notice for the sender of message *about*; None if that mailbox was deleted.

        It belongs to the thread of *about*, and is quiet if that is.
        """
        ...

    def show_delayed(self, now: int) -> Sequence[Arrival]:
        """Make messages visible whose delay is over."""
        ...

    def take_back(self, now: int) -> Sequence[Returned]:
        """Mark messages as expired whose time to live is over, unless they are leased."""
        ...

    def next_due(self, now: int) -> int | None:
        """Return when the next delay, time to live or deadline is over."""
        ...

    def park(self, number: int) -> Returned:
        """Mark a waiting message as parked."""
        ...

    def parked(self, mailbox: str | None = None) -> Sequence[MessageStatus]:
        """Return parked messages, oldest first; with *mailbox*, only those it sent or got."""
        ...

    def retry(self, numbers: Iterable[int], now: int) -> tuple[Sequence[int], Sequence[str]]:
        """Make parked messages wait again, with 0 attempts; also return their mailboxes."""
        ...

    def drop(self, numbers: Iterable[int]) -> Sequence[int]:
        """Mark parked messages as deleted; return those that were parked."""
        ...


class HistoryStore(Protocol):
    """What a mailbox sent and got, and what became of it."""

    def status(self, number: int, mailbox: str) -> MessageStatus | None:
        """Return what became of a message; None unless *mailbox* sent or got it."""
        ...

    def history(self, mailbox: str, query: HistoryQuery) -> HistoryPage:
        """Return messages that *mailbox* sent or got, newest first; only the first may be cut.

        With words, it finds only messages that are newer than every message not indexed yet.
        """
        ...

    def waiting(self, mailbox: str, limit: int, max_characters: int) -> HistoryPage:
        """Return messages that wait in *mailbox*, in the order of delivery; only the first may be cut."""
        ...

    def forget_texts(self, after: int, sent_before: int) -> int | None:
        """Delete the texts of some old messages, and remove them from the index.

        Args:
            after: only messages with higher numbers.
            sent_before: only messages sent before this time, and not pending.

        Returns:
            The next *after*, or None when all messages were looked at.
        """
        ...

    def index(self) -> bool:
        """Index some messages, newest first; return whether more remain."""
        ...
