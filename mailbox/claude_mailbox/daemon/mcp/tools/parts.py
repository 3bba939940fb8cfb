"""Messages that are too long for one result, handed out in parts.

Such a message is leased with its first part and settled with its last, so it is delivered when all
of it was handed out, and not before. In between it is nobody else's. The client names the part
that it wants: thus it can have a part again when the result was lost, and whoever starts anew,
because the session has no memory of the first parts, begins with the first. Only the parts that
were handed out and the next one can be had, so none is passed over. Whenever something goes wrong
the lease ends, and the message is back in its place, to be read from the start as redelivered.

That is why there is no call that just goes on: after a result that got lost on the way, it would
skip a part, and the message would count as delivered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from claude_mailbox.daemon.edge.output.render import compact
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.mail import Delivery

# How long a message waits for the call for its next part.
HELD_SECONDS = 300.0
# How many messages wait so. Their texts are kept in memory.
HELD_LIMIT = 64


@dataclass(slots=True)
class LongMessage:
    """A message that is being handed out in parts.

    Attributes:
        delivery: the message.
        pieces: its text, cut up.
        handed_out: how many of them were handed out.
        until: when it goes back to its place.
    """

    delivery: Delivery
    pieces: Sequence[str]
    handed_out: int
    until: float

    @property
    def is_complete(self) -> bool:
        """Whether every part was handed out."""
        return self.handed_out == len(self.pieces)


class LongMessages:
    """The messages that are being handed out in parts, at most one a mailbox.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_mailbox: dict[str, LongMessage] = {}

    def __repr__(self) -> str:
        return f"<LongMessages: {len(self._by_mailbox)}>"

    def held(self) -> list[str]:
        """Return the tokens of the leases that are kept for the call for a next part."""
        now = self._clock()
        for mailbox, message in list(self._by_mailbox.items()):
            if message.until <= now:
                del self._by_mailbox[mailbox]
        return [message.delivery.lease for message in self._by_mailbox.values()]

    def begin(self, mailbox: str, delivery: Delivery, pieces: Sequence[str]) -> LongMessage:
        """Hold a message that comes in these parts; the first is handed out."""
        if len(self._by_mailbox) >= HELD_LIMIT:
            # Its lease is not held any more, and ends.
            del self._by_mailbox[next(iter(self._by_mailbox))]
        until = self._clock() + HELD_SECONDS
        message = LongMessage(delivery, pieces, 1, until)
        self._by_mailbox[mailbox] = message
        return message

    def continue_with(self, mailbox: str, part: int) -> LongMessage:
        """Note that this part is handed out; after the last one the message is not held any more.

        Raises:
            BadRequest: if it is not to be had now.
        """
        self.held()
        message = self._by_mailbox.get(mailbox)
        if message is None:
            raise BadRequest(
                "No message waits for the call for its next part: leave 'part' out, and it comes"
                " from the start."
            )
        if part > min(message.handed_out + 1, len(message.pieces)):
            following = min(message.handed_out + 1, len(message.pieces))
            raise BadRequest(
                f"Parts are handed out in order: the next one is part {following}"
                f" of {len(message.pieces)}."
            )
        message.handed_out = max(message.handed_out, part)
        message.until = self._clock() + HELD_SECONDS
        if message.is_complete:
            del self._by_mailbox[mailbox]
        return message

    def give_up(self, mailbox: str) -> str | None:
        """Hold the mailbox's message no more; return the token of its lease, if there was one."""
        message = self._by_mailbox.pop(mailbox, None)
        return None if message is None else message.delivery.lease


def json_size(content: object) -> int:
    """Return how many bytes *content* takes in JSON."""
    return len(compact(content))


def cut(text: str, room: int) -> list[str]:
    """Cut *text* into pieces that take at most *room* bytes each within a string of JSON."""
    pieces = []
    start = 0
    while start < len(text):
        length = room
        # A character takes one to six bytes, so the first guess is the longest that can be.
        while (size := json_size(text[start : start + length]) - 2) > room:
            length = max(1, min(length, len(text) - start) * room // size)
        pieces.append(text[start : start + length])
        start += length
    return pieces
