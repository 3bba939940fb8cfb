"""The queue as it ought to be, in a page of plain Python: lists, and no thought of speed."""

from dataclasses import dataclass, field

from claude_mailbox.model.mail import KEY_MILLISECONDS

WAITING, LEASED, DELIVERED = "waiting", "leased", "delivered"
DELAYED, EXPIRED, PARKED, DELETED = "delayed", "expired", "parked", "deleted"


@dataclass(eq=False)
class Mailbox:
    """A mailbox: its present name, its former ones, and when it was used."""

    name: str
    created_at: int
    seen_at: int | None = None
    former: set[str] = field(default_factory=set)


DAEMON = Mailbox("claude-mailbox", 0)


@dataclass(eq=False)
class Message:
    """A message, and its way so far."""

    id: int
    sender: Mailbox
    recipient: Mailbox
    body: str
    sent_at: int
    state: str = WAITING
    attempts: int = 0
    token: str = ""
    until: int | None = None
    by: str = ""
    delivered_at: int | None = None
    urgency: str = "normal"
    visible_at: int | None = None
    expires_at: int | None = None
    answer_by: int | None = None
    outcome: str | None = None
    thread: int | None = None
    original: "Message | None" = None
    is_final: bool = True
    notice: str | None = None
    names: tuple[str, str] = ("", "")

    @property
    def is_open(self) -> bool:
        """Whether it is a question without an outcome."""
        return self.answer_by is not None and self.outcome is None

    @property
    def is_hidden(self) -> bool:
        """Whether its receiver must not see it yet."""
        return self.state == DELAYED

    @property
    def is_quiet(self) -> bool:
        """Whether it rings nobody."""
        return self.urgency == "low"


@dataclass(frozen=True)
class Keyed:
    """A message that was sent with a key: to which name, and what was answered."""

    message: Message
    to: str
    recipient: str
    pending: int


class Queue:
    """All mailboxes and messages, and the keys of messages by the sender's name."""

    def __init__(self) -> None:
        self.mailboxes: list[Mailbox] = []
        self.messages: list[Message] = []
        self.keys: dict[tuple[str, str], Keyed] = {}
        self.deleted: dict[str, Mailbox] = {}

    def find(self, name: str) -> Mailbox | None:
        """Return the mailbox that has the name, or left it behind."""
        for mailbox in self.mailboxes:
            if name == mailbox.name or name in mailbox.former:
                return mailbox
        return None

    def use(self, name: str, now: int) -> Mailbox:
        """Return the mailbox, new when it must be, known from now on."""
        mailbox = self.address(name, now)
        if mailbox.seen_at is None:
            mailbox.seen_at = now
        return mailbox

    def address(self, name: str, now: int) -> Mailbox:
        """Return the mailbox, new when it must be, without its owner having been there."""
        mailbox = self.find(name)
        if mailbox is None:
            mailbox = self.deleted.pop(name, None) or Mailbox(name, now)
            mailbox.created_at, mailbox.seen_at = now, None
            self.mailboxes.append(mailbox)
        return mailbox

    def owner(self, name: str) -> Mailbox | None:
        """Return the mailbox that has the name, or was the last to have it."""
        return self.find(name) or self.deleted.get(name)

    def history(self, name: str, peer: str | None) -> list[Message]:
        """Return what a mailbox sent and got, or exchanged with a peer, the newest first."""
        own = self.owner(name)
        if own is None:
            return []
        return [
            message
            for message in reversed(self.messages)
            for sender, recipient in [(message.sender, message.recipient)]
            if (sender is own and (peer is None or recipient is self.owner(peer)))
            or (
                recipient is own
                and not message.is_hidden
                and (peer is None or sender is self.owner(peer))
            )
        ]

    def of(self, mailbox: Mailbox, *states: str) -> list[Message]:
        """Return the messages to a mailbox in these states, the oldest first."""
        return [x for x in self.messages if x.recipient is mailbox and x.state in states]

    def pending(self, mailbox: Mailbox) -> int:
        """Count what was sent to a mailbox and has not been delivered."""
        return len(self.of(mailbox, WAITING, LEASED, DELAYED))

    def line(self, mailbox: Mailbox, now: int) -> list[Message]:
        """Return what may be handed out, in that order."""
        waiting = [
            x for x in self.of(mailbox, WAITING) if x.expires_at is None or x.expires_at > now
        ]
        return sorted(waiting, key=lambda x: x.urgency != "high")

    def last_name(self, mailbox: Mailbox, stored: str) -> str:
        """Return the name of a mailbox, or the last one that is known of a deleted one."""
        if mailbox in self.mailboxes:
            return mailbox.name
        return next((name for name, each in self.deleted.items() if each is mailbox), stored)

    def arrive(self, message: Message) -> None:
        """Let a message that is visible from now on answer the question that it replies to."""
        question = message.original
        if (
            question is not None
            and question.is_open
            and message.is_final
            and message.sender is question.recipient
            and message.recipient is question.sender
        ):
            question.outcome = "answered"

    def first_reply(self, message: Message) -> int | None:
        """Return the first reply by the receiver, or None."""
        return next(
            (
                x.id
                for x in self.messages
                if x.original is message
                and x.sender is message.recipient
                and x.is_final
                and not x.is_hidden
            ),
            None,
        )

    def notify(self, about: Message, notice: str, now: int) -> None:
        """Let the daemon write to the sender of a message."""
        number = self.messages[-1].id + 1
        thread = about.thread or about.id
        self.messages.append(
            Message(
                number,
                DAEMON,
                about.sender,
                "",
                now,
                thread=thread,
                original=about,
                notice=notice,
                urgency="low" if about.is_quiet else "normal",
            )
        )

    def give_back(self, message: Message, notice: str, now: int) -> None:
        """Tell the sender of a message that it went undelivered."""
        if message.is_open:
            message.outcome = "unanswerable"
            self.notify(message, "unanswerable", now)
        elif message.notice is None:
            self.notify(message, notice, now)

    def advance(self, now: int) -> None:
        """Let happen what is due."""
        for message in list(self.messages):
            is_due = message.expires_at is not None and message.expires_at <= now
            if is_due and message.state in (WAITING, DELAYED):
                message.state = EXPIRED
                self.give_back(message, "expired", now)
        for message in list(self.messages):
            if message.state == DELAYED and (message.visible_at or 0) <= now:
                message.state = WAITING
                self.arrive(message)
        for message in list(self.messages):
            if message.is_open and (message.answer_by or 0) <= now:
                message.outcome = "timed-out"
                self.notify(message, "timed-out", now)

    def by_token(self, token: str) -> Message | None:
        """Return the message that has this lease, or was delivered by it."""
        for message in self.messages:
            if message.token == token and message.state != WAITING:
                return message
        return None

    def put_back(self, message: Message) -> None:
        """End a lease without delivery."""
        message.state, message.token, message.until = WAITING, "", None

    def expire(self, now: int) -> set[str]:
        """Put back what has run out; return the names of the mailboxes."""
        names = set()
        for message in self.messages:
            if message.state == LEASED and message.until is not None and message.until <= now:
                self.put_back(message)
                names.add(message.recipient.name)
        return names

    def keyed(self, sender: str, key: str, now: int) -> Keyed | None:
        """Return what the sender, by that name, sent with the key within a day."""
        found = self.keys.get((sender, key))
        return found if found and self.is_fresh(found, now) else None

    def is_fresh(self, keyed: Keyed, now: int) -> bool:
        """Whether a key still counts."""
        return keyed.message.sent_at > now - KEY_MILLISECONDS

    def is_repeat(self, keyed: Keyed, to: str, body: str) -> bool:
        """Whether the same is sent to the same mailbox, by whatever name."""
        names = (keyed.to, keyed.recipient)
        return body == keyed.message.body and (
            to in names or self.find(to) is keyed.message.recipient
        )

    def rename(self, mailbox: Mailbox, to: str, now: int) -> None:
        """Give a mailbox another name; its keys are found under that, too."""
        for (sender, key), keyed in list(self.keys.items()):
            if sender == mailbox.name and self.is_fresh(keyed, now):
                self.keys[to, key] = keyed
        mailbox.former.add(mailbox.name)
        mailbox.former.discard(to)
        mailbox.name = to

    def is_involved(self, mailbox: Mailbox) -> bool:
        """Whether anything pends to or from a mailbox."""
        return any(
            (
                mailbox in (message.sender, message.recipient)
                and message.state in (WAITING, LEASED, DELAYED)
            )
            or (mailbox is message.sender and message.is_open)
            for message in self.messages
        )

    def delete(self, mailbox: Mailbox) -> bool:
        """Delete a mailbox, if nothing pends."""
        if self.is_involved(mailbox):
            return False
        self.mailboxes.remove(mailbox)
        mailbox.former.clear()
        if any(mailbox in (message.sender, message.recipient) for message in self.messages):
            self.deleted[mailbox.name] = mailbox
        return True
