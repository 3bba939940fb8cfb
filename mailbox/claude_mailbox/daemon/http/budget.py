"""One bound on what all clients together make the server keep in memory."""

from claude_mailbox.refusals import Overloaded

# What each connection may keep besides: enough for nearly every request and response, so that a
# few clients with much leave all others alone.
FREE_BYTES = 16 * 1024


class Budget:
    """Counts the bytes of requests not answered yet and of responses not taken yet.

    Args:
        limit: how many there may be, all connections together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = 0

    def __repr__(self) -> str:
        return f"<Budget: {self._kept} of {self._limit} bytes>"

    def resize(self, before: int, after: int) -> None:
        """Let a connection that keeps *before* bytes keep *after*.

        Raises:
            Overloaded: if that is more, and too much; it keeps *before* then.
        """
        more = max(0, after - FREE_BYTES) - max(0, before - FREE_BYTES)
        if more > 0 and self._kept + more > self._limit:
            raise Overloaded(
                "The daemon keeps too much for slow clients right now: try again in a moment."
            )
        self._kept += more
