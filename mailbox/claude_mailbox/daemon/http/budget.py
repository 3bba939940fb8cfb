"""One limit for the memory that all clients together take."""

from claude_mailbox.refusals import Overloaded

# Each connection may keep this much outside the budget: enough for nearly every request and response,
# so that a few large ones do not affect other clients.
FREE_BYTES = 16 * 1024


class Budget:
    """Counts the bytes of unanswered requests and unread responses.

    Args:
        limit: how many there may be for all connections.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = 0

    def __repr__(self) -> str:
        return f"<Budget: {self._kept} of {self._limit} bytes>"

    def resize(self, before: int, after: int) -> None:
        """Change the bytes of a connection from *before* to *after*.

        Raises:
            Overloaded: if the limit does not allow that; then nothing is changed.
        """
        more = max(0, after - FREE_BYTES) - max(0, before - FREE_BYTES)
        if more > 0 and self._kept + more > self._limit:
            raise Overloaded(
                "The daemon keeps too much for slow clients right now: try again in a moment."
            )
        self._kept += more
