"""One request of an MCP client, from its line until its answer; it may be given up in between."""

import threading

from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.stdio.jsonrpc import Fields

# What may be sent again although the daemon may have begun it: everything but these tools.
_ONCE_ONLY = frozenset({"send", "rename"})


class Call:
    """One request of the client that is not answered yet."""

    def __init__(self, message: Fields, body: bytes) -> None:
        self.message = message
        self.body = body
        self.cancelled = threading.Event()
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    @property
    def is_repeatable(self) -> bool:
        """Whether it does no harm when the daemon gets it twice."""
        params = self.message.get("params")
        name = params.get("name") if isinstance(params, dict) else None
        return self.message.get("method") != "tools/call" or name not in _ONCE_ONLY

    def use(self, connection: Connection | None) -> None:
        """Say which connection the call waits on.

        Raises:
            ConnectionLost: if it was cancelled.
        """
        with self._lock:
            self._connection = connection
            if connection is not None and self.cancelled.is_set():
                connection.close()
                raise ConnectionLost("The request was cancelled.")

    def cancel(self) -> None:
        """Give up: the daemon sees the connection end, and puts back what it was handing out."""
        with self._lock:
            self.cancelled.set()
            if self._connection is not None:
                self._connection.hang_up(hard=True)
