"""What ``top`` shows: the mailboxes, and the messages that go by, read from the daemon."""

from collections import deque

from claude_mailbox.client.mail import held as holding
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.proof import home_proof
from claude_mailbox.errors import DaemonUnreachable

KEPT_MESSAGES = 500

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Feed:
    """Reads again and again, over restarts of the daemon.

    Attributes:
        mailboxes: rows of the list.
        messages: those that went by, oldest first.
        held: rows of the messages that are held, without their texts.
        is_connected: whether the daemon answered the last time.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.mailboxes: list[dict[str, Any]] = []
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT_MESSAGES)
        self.held: list[dict[str, Any]] = []
        self.is_connected = False

    def read(self) -> "list[dict[str, Any]]":
        """Read what is new; return the messages among it, oldest first.

        Raises:
            DaemonUnreachable: if the daemon has never answered.
            Refused: if the daemon answers with an error.
        """
        last = self.messages[-1]["id"] if self.messages else 0
        try:
            mailboxes = self._daemon.call("GET", "/v1/list", is_repeatable=True).value
            body = {"after": last, "limit": KEPT_MESSAGES, **home_proof(self._daemon)}
            recent = self._daemon.call("POST", "/v1/recent", body=body, is_repeatable=True).value
            held = holding.held(self._daemon)
        except DaemonUnreachable:
            if not self.mailboxes and not self.messages:
                raise
            self.is_connected = False
            return []
        if not isinstance(mailboxes, list) or not isinstance(recent, list):
            raise self._daemon.wrong_server()
        self.is_connected = True
        self.mailboxes = mailboxes
        self.messages += recent
        self.held = held
        # What has become of the older ones may have changed; that is told by their receipts.
        return recent

    def release_held(self) -> None:
        """Release the held messages; without a daemon they stay held."""
        try:
            holding.release_held(self._daemon)
        except DaemonUnreachable:
            self.is_connected = False
