"""One request of the MCP client that is not answered yet, and how it is cancelled."""

import threading

from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.stdio.jsonrpc import Fields

# Calls of these tools must not be repeated once the daemon may have begun them.
_ONCE_ONLY = frozenset({"send", "rename"})


class PendingRequest:
    """A request from its line on standard input until its response.

    Attributes:
        message: the JSON-RPC request.
        body: the same as bytes.
        cancelled: set when the client has cancelled it.
    """

    def __init__(self, message: Fields, body: bytes) -> None:
        self.message = message
        self.body = body
        self.cancelled = threading.Event()
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    @property
    def is_repeatable(self) -> bool:
        """Whether the daemon may get the request twice."""
        params = self.message.get("params")
        name = params.get("name") if isinstance(params, dict) else None
        return self.message.get("method") != "tools/call" or name not in _ONCE_ONLY

    def use(self, connection: Connection | None) -> None:
        """Set the connection that the request waits on, so that `cancel` can end the wait.

        Raises:
            ConnectionLost: if the request has been cancelled.
        """
        with self._lock:
            self._connection = connection
            if connection is not None and self.cancelled.is_set():
                connection.close()
                raise ConnectionLost("The request was cancelled.")

    def cancel(self) -> None:
        """Cancel the request. The daemon sees the connection end, and releases its mail."""
        with self._lock:
            self.cancelled.set()
            if self._connection is not None:
                self._connection.hang_up(hard=True)
