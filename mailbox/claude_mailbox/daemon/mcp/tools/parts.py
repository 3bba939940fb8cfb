"""Messages that are too long for one result, delivered in parts.

Such a message is leased with its first part and settled with its last. The client asks for a part by
its number, so it can get a part again whose result was lost. A call without a number starts again with
the first part, for a session that has forgotten the earlier ones. Only earlier parts and the next one
can be had, so none is skipped. If anything goes wrong the lease ends, and the message is delivered
again from the start.

A call that simply continues would skip a part after a lost result, and the message would count as
delivered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from claude_mailbox.daemon.edge.output.render import compact
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.mail import Delivery

# How long a message stays leased for the call for its next part.
HELD_SECONDS = 300.0
# Most messages that are delivered in parts at once: their texts are kept in memory.
HELD_LIMIT = 64


@dataclass(slots=True)
class LongMessage:
    """A message that is being delivered in parts.

    Attributes:
        delivery: the message.
        pieces: its text in parts.
        handed_out: how many parts were in results.
        until: when it is released, by the clock of `LongMessages`.
    """

    delivery: Delivery
    pieces: Sequence[str]
    handed_out: int
    until: float

    @property
    def is_complete(self) -> bool:
        """Whether all parts were in results."""
        return self.handed_out == len(self.pieces)


class LongMessages:
    """The messages that are being delivered in parts, at most one for each mailbox.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_mailbox: dict[str, LongMessage] = {}

    def __repr__(self) -> str:
        return f"<LongMessages: {len(self._by_mailbox)}>"

    def held(self) -> list[str]:
        """Return the leases of these messages, without those whose time is over."""
        now = self._clock()
        for mailbox, message in list(self._by_mailbox.items()):
            if message.until <= now:
                del self._by_mailbox[mailbox]
        return [message.delivery.lease for message in self._by_mailbox.values()]

    def begin(self, mailbox: str, delivery: Delivery, pieces: Sequence[str]) -> LongMessage:
        """Begin to deliver a message in parts; the first is in this result."""
        if len(self._by_mailbox) >= HELD_LIMIT:
            # Its lease is not held any more, so housekeeping releases it.
            del self._by_mailbox[next(iter(self._by_mailbox))]
        until = self._clock() + HELD_SECONDS
        message = LongMessage(delivery, pieces, 1, until)
        self._by_mailbox[mailbox] = message
        return message

    def continue_with(self, mailbox: str, part: int) -> LongMessage:
        """Return the message for a result with this part; forget it after the last part.

        Raises:
            BadRequest: if this part cannot be had now.
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
        """Forget the mailbox's message; return its lease, if there was one."""
        message = self._by_mailbox.pop(mailbox, None)
        return None if message is None else message.delivery.lease


def json_size(content: object) -> int:
    """Return how many bytes *content* takes in JSON."""
    return len(compact(content))


def cut(text: str, room: int) -> list[str]:
    """Cut *text* into pieces that take at most *room* bytes each in a JSON string."""
    pieces = []
    start = 0
    while start < len(text):
        length = room
        # A character takes one to six bytes, so the first guess is the longest possible.
        while (size := json_size(text[start : start + length]) - 2) > room:
            length = max(1, min(length, len(text) - start) * room // size)
        pieces.append(text[start : start + length])
        start += length
    return pieces
