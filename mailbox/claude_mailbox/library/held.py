"""The leases that a mailbox holds; they are released when it is closed."""

from collections.abc import Iterable

from claude_mailbox.library.values import MessageFields

# Of more than these, the oldest have ended, or end soon.
_LIMIT = 10_000


class HeldLeases:
    """The leases of messages that were handed out and not settled."""

    def __init__(self) -> None:
        self._leases: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<HeldLeases: {len(self._leases)}>"

    def add(self, message: MessageFields) -> None:
        """Note a message that was handed out."""
        self._leases[message.lease] = None
        if len(self._leases) > _LIMIT:
            del self._leases[next(iter(self._leases))]

    def settle(self, messages: Iterable[MessageFields]) -> None:
        """Note that messages were acked or released."""
        for message in messages:
            message.is_settled = True
            self._leases.pop(message.lease, None)

    def take(self) -> list[str]:
        """Return the leases, and forget them."""
        leases = list(self._leases)
        self._leases.clear()
        return leases
