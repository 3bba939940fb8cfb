"""The daemon's side of ``mcp-stdio``: sends a request to ``/mcp`` and writes out the response.

The daemon may be restarted meanwhile, or not run yet: a request that it cannot have begun is sent
again. Mail in a response is under a lease, which is acked when the response has been written, so
that a client that dies loses nothing.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from urllib.parse import unquote

from claude_mailbox.client import codec
from claude_mailbox.client.reach import startup
from claude_mailbox.client.reach.address import is_own_daemon
from claude_mailbox.client.reach.api import LEASE_SECONDS, Daemon, Identity
from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.reach.http1 import ChunkDecoder, Response
from claude_mailbox.client.stdio.jsonrpc import mcp_headers, negotiated_version, response_line
from claude_mailbox.client.stdio.pending import PendingRequest
from claude_mailbox.client.stdio.sse import EventParser
from claude_mailbox.errors import DaemonUnreachable, MailboxError

# A watch takes up to 50 seconds.
ANSWER_SECONDS = 120.0
# A stream that is silent for longer is dead: the daemon pings more often.
SILENCE_SECONDS = 60.0
# How long a request is retried while the daemon is down, and the pauses between the attempts.
RETRY_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 0.5


class Forwarder:
    """Forwards requests to the daemon; each may run on its own thread.

    Args:
        url: address of the daemon.
        identity: headers that say who calls; calls may name another mailbox themselves.
        write: writes one line to the client; raises OSError if the client is gone.
    """

    def __init__(
        self,
        url: str | None,
        identity: list[tuple[str, str]],
        write: Callable[[bytes], None],
    ) -> None:
        self._url = url
        self._headers = identity
        self._write = write
        self._negotiated: str | None = None
        self._idle: list[Daemon] = [Daemon(url)]  # raises for a malformed address
        self._idle_lock = threading.Lock()
        self._start_lock = threading.Lock()

    def forward(self, request: PendingRequest) -> None:
        """Write the response to a request, retrying while the daemon is down.

        Raises:
            DaemonUnreachable: if no response comes; the sentence says so if the request may have
                been carried out nevertheless.
            OSError: if the client is gone.
        """
        pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + RETRY_SECONDS
        while not request.cancelled.is_set():
            began = time.monotonic()
            daemon = self._take_idle()
            is_sent = False
            try:
                connection = daemon.connect()
                request.use(connection)
                is_sent = True
                if self._exchange(request, daemon, connection):
                    self._put_idle(daemon)
                    return
                failure = DaemonUnreachable("The daemon is not ready: try again in a moment.")
            except DaemonUnreachable as error:
                failure = error
            finally:
                request.use(None)
            daemon.close()
            if request.cancelled.is_set():
                return
            if isinstance(failure, ConnectionLost) and is_sent and not request.is_repeatable:
                raise DaemonUnreachable(
                    f"{failure} It is not known whether that was done: check before you repeat it."
                )
            if time.monotonic() - began > RETRY_SECONDS:  # this attempt worked for a while
                pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + RETRY_SECONDS
            if time.monotonic() > deadline:
                raise failure
            if not is_sent:
                self._start_daemon()
            request.cancelled.wait(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    def _exchange(self, request: PendingRequest, daemon: Daemon, connection: Connection) -> bool:
        """Send the request and write its response; return False if the daemon is not ready."""
        headers = [
            *mcp_headers(request.message, self._negotiated),
            *self._headers,
            ("X-Mailbox-Lease", str(LEASE_SECONDS)),
        ]
        response = connection.open("POST", "/mcp", headers, request.body, seconds=ANSWER_SECONDS)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            self._write_events(request, daemon, connection, response)
            return True
        connection.read_body(response, seconds=ANSWER_SECONDS)
        request.use(None)
        if response.status == 503:
            return False
        self._write_response(request, daemon, response, response.body)
        return True

    def _write_events(
        self, request: PendingRequest, daemon: Daemon, connection: Connection, response: Response
    ) -> None:
        """Write the messages of an event stream; the last one is the response.

        Raises:
            ConnectionLost: if the stream ends before that.
        """
        decoder, parser = ChunkDecoder(), EventParser()
        while not decoder.done:
            piece = connection.read_some(decoder, seconds=SILENCE_SECONDS)
            for data in parser.feed(piece):
                value = codec.decode(data)
                if isinstance(value, dict) and "method" not in value:
                    self._write_response(request, daemon, response, data)
                    connection.close()
                    return
                self._write(data)
        raise ConnectionLost("The daemon ended the stream.")

    def _write_response(
        self, request: PendingRequest, daemon: Daemon, response: Response, body: bytes
    ) -> None:
        """Write the response, then ack the mail in it; release the mail if nobody gets it."""
        leases = [
            token for token in response.headers.get("x-mailbox-leases", "").split(",") if token
        ]
        mailbox = response.headers.get("x-mailbox-holder")
        identity = Identity(unquote(mailbox)) if mailbox else None
        if request.cancelled.is_set():
            daemon.release(leases, identity)
            return
        line = response_line(response, body, request.message["id"])
        if request.message["method"] == "initialize":
            self._negotiated = negotiated_version(line)
        try:
            self._write(line)
        except OSError:
            daemon.release(leases, identity)
            raise
        if request.cancelled.is_set():  # while we wrote: then the client ignores the response
            daemon.release(leases, identity)
            return
        # If the daemon is gone, the mail comes again when the lease expires.
        with contextlib.suppress(MailboxError):
            daemon.ack(leases, identity)

    def _start_daemon(self) -> None:
        """Start the daemon, if it is ours to start; one thread at a time.

        Raises:
            StartupError: if it does not start.
        """
        if is_own_daemon(self._url):
            with self._start_lock:
                startup.ensure_running(self._url)

    def _take_idle(self) -> Daemon:
        with self._idle_lock:
            return self._idle.pop() if self._idle else Daemon(self._url)

    def _put_idle(self, daemon: Daemon) -> None:
        with self._idle_lock:
            self._idle.append(daemon)
