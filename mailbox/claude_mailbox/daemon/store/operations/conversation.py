"""What messages have to do with each other, and what became of them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.model.conversations import Arrival, Notice, OpenQuestion, Original, Returned
from claude_mailbox.model.history import HistoryPage, HistoryQuery, MessageStatus
from claude_mailbox.model.mail import Delivery


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
