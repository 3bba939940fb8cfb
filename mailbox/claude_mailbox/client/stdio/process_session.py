"""The session of the process that runs ``mcp-stdio``: of clients whose hooks announce none, too."""

import os
import threading

from claude_mailbox.client.identity.client_process import ancestor_key
from claude_mailbox.client.identity.naming import mailbox_name
from claude_mailbox.client.reach.api import Daemon, Refused
from claude_mailbox.errors import MailboxError

_SECONDS = 5.0


class ProcessSession:
    """The session that the client's process runs.

    Args:
        url: address of the daemon.

    Attributes:
        headers: what says so in a request; none where processes cannot be told apart.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._process = ancestor_key()
        self.headers = [] if self._process is None else [("X-Mailbox-Client", self._process)]
        self._own = "" if self._process is None else f"process-{self._process}"
        self._is_own = False
        self._is_known = self._process is None
        self._lock = threading.Lock()

    def announce(self) -> None:
        """Give the session a mailbox, unless it has one.

        If the daemon cannot be asked now, it is tried again with the next call.
        """
        with self._lock:
            if self._is_known:
                return
            try:
                daemon = Daemon(self._url, seconds=_SECONDS)
                with daemon:
                    self._is_own = not self._is_announced(daemon)
                    if self._is_own:
                        self._start(daemon)
                self._is_known = True
            except MailboxError:
                pass

    def end(self) -> None:
        """End a session that only this process has announced."""
        if not self._is_own:
            return
        body = {"sessionId": self._own, "reason": "other", "client": self._process}
        try:
            with Daemon(self._url, seconds=_SECONDS) as daemon:
                daemon.call("POST", "/v1/session/end", body=body)
        except MailboxError:
            pass

    def _is_announced(self, daemon: Daemon) -> bool:
        try:
            daemon.call("GET", "/v1/session", query=(f"client={self._process}",))
        except Refused as refusal:
            if refusal.code != "unknown-session":
                raise
            return False
        return True

    def _start(self, daemon: Daemon) -> None:
        # The number of a process is soon used again: let the name begin with its start.
        name = mailbox_name((self._process or "").rpartition("-")[2], os.getcwd())
        body = {"sessionId": self._own, "name": name, "client": self._process, "bell": False}
        daemon.call("POST", "/v1/session", body=body, is_repeatable=True)
