"""The queue as it ought to be, in a page of plain Python: lists, and no thought of speed."""

from dataclasses import dataclass, field

from claude_mailbox.model import KEY_MILLISECONDS

WAITING, LEASED, DELIVERED = "waiting", "leased", "delivered"


@dataclass(eq=False)
class Box:
    """A mailbox: its present name, its former ones, and when it was used."""

    name: str
    created_at: int
    seen_at: int | None = None
    former: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Letter:
    """A message, and its way so far."""

    id: int
    sender: Box
    recipient: Box
    body: str
    sent_at: int
    state: str = WAITING
    attempts: int = 0
    token: str = ""
    until: int | None = None


@dataclass(frozen=True)
class Keyed:
    """A letter that was sent with a key: to which name, and what was answered."""

    letter: Letter
    to: str
    recipient: str
    pending: int


class Queue:
    """All mailboxes and messages, and the keys of messages by the sender's name."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.letters: list[Letter] = []
        self.keys: dict[tuple[str, str], Keyed] = {}

    def find(self, name: str) -> Box | None:
        """Return the mailbox that has the name, or left it behind."""
        for box in self.boxes:
            if name == box.name or name in box.former:
                return box
        return None

    def use(self, name: str, now: int) -> Box:
        """Return the mailbox, new when it must be, known from now on."""
        box = self.address(name, now)
        if box.seen_at is None:
            box.seen_at = now
        return box

    def address(self, name: str, now: int) -> Box:
        """Return the mailbox, new when it must be, without its owner having been there."""
        box = self.find(name)
        if box is None:
            box = Box(name, now)
            self.boxes.append(box)
        return box

    def of(self, box: Box, *states: str) -> list[Letter]:
        """Return the letters to a mailbox in these states, the oldest first."""
        return [x for x in self.letters if x.recipient is box and x.state in states]

    def pending(self, box: Box) -> int:
        """Count what was sent to a mailbox and has not been delivered."""
        return len(self.of(box, WAITING, LEASED))

    def by_token(self, token: str) -> Letter | None:
        """Return the letter that has this lease, or was delivered by it."""
        for letter in self.letters:
            if letter.token == token and letter.state != WAITING:
                return letter
        return None

    def put_back(self, letter: Letter) -> None:
        """End a lease without delivery."""
        letter.state, letter.token, letter.until = WAITING, "", None

    def expire(self, now: int) -> set[str]:
        """Put back what has run out; return the names of the mailboxes."""
        names = set()
        for letter in self.letters:
            if letter.state == LEASED and letter.until is not None and letter.until <= now:
                self.put_back(letter)
                names.add(letter.recipient.name)
        return names

    def keyed(self, sender: str, key: str, now: int) -> Keyed | None:
        """Return what the sender, by that name, sent with the key within a day."""
        found = self.keys.get((sender, key))
        return found if found and self.is_fresh(found, now) else None

    def is_fresh(self, keyed: Keyed, now: int) -> bool:
        """Whether a key still counts."""
        return keyed.letter.sent_at > now - KEY_MILLISECONDS

    def is_repeat(self, keyed: Keyed, to: str, body: str) -> bool:
        """Whether the same is sent to the same mailbox, by whatever name."""
        names = (keyed.to, keyed.recipient)
        return body == keyed.letter.body and (
            to in names or self.find(to) is keyed.letter.recipient
        )

    def rename(self, box: Box, to: str, now: int) -> None:
        """Give a mailbox another name; its keys are found under that, too."""
        for (sender, key), keyed in list(self.keys.items()):
            if sender == box.name and self.is_fresh(keyed, now):
                self.keys[to, key] = keyed
        box.former.add(box.name)
        box.former.discard(to)
        box.name = to

    def is_involved(self, box: Box) -> bool:
        """Whether anything pends to or from a mailbox."""
        return any(
            box in (letter.sender, letter.recipient) and letter.state != DELIVERED
            for letter in self.letters
        )

    def delete(self, box: Box) -> bool:
        """Delete a mailbox, if nothing pends."""
        if self.is_involved(box):
            return False
        self.boxes.remove(box)
        return True
