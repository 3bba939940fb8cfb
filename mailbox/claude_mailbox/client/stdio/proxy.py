"""``mcp-stdio``: an MCP server on standard input and output that passes everything on to ``/mcp``.

For clients that cannot speak HTTP. Each request goes out on a thread of its own, so that a long
one delays no other. The daemon may be restarted, or not yet run: a request that it cannot have
begun is sent again. Mail in an answer is under a lease, which is acked when the answer has been
written out, so that nothing is lost with a client that dies.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from urllib.parse import unquote

from claude_mailbox.client import codec
from claude_mailbox.client.reach import address, startup
from claude_mailbox.client.reach.api import LEASE_SECONDS, Daemon, Identity
from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.reach.http1 import Answer, Chunks
from claude_mailbox.client.stdio.events import Events
from claude_mailbox.client.stdio.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    UNREACHABLE,
    Fields,
    error_response,
    mcp_headers,
    negotiated_version,
    response,
)
from claude_mailbox.client.stdio.requests import Call
from claude_mailbox.errors import DaemonUnreachable, MailboxError

# A watch takes up to 50 seconds.
ANSWER_SECONDS = 120.0
# A stream that says nothing for so long is dead; the daemon pings more often.
SILENCE_SECONDS = 60.0
# How long a request waits for a daemon that is down, and for its pauses.
PATIENCE_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 0.5
# After the client has closed its end, so long for what is under way.
GRACE_SECONDS = 5.0
LINE_LIMIT = 512 * 1024 * 1024
CALLS_LIMIT = 64


class Proxy:
    """The server; `run` serves until the client is gone.

    Args:
        url: address of the daemon.
        name: the mailbox that the client acts for when its calls do not say.
    """

    def __init__(self, url: str | None = None, name: str | None = None) -> None:
        self._url = url
        self._headers = [] if name is None else Identity(name).headers
        self._negotiated: str | None = None
        self._calls: dict[tuple[type, object], Call] = {}
        self._state = threading.Condition()
        self._idle: list[Daemon] = [Daemon(url)]  # raises for a malformed address
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._exit_code = 0

    def run(self) -> int:
        """Serve until standard input ends, standard output breaks or a signal comes."""
        former = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        reader = threading.Thread(target=self._read, name="reader", daemon=True)
        reader.start()
        try:
            while not self._over.wait(0.5 if sys.platform == "win32" else None):
                pass
            self._wind_up()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        return self._exit_code

    # The client's side

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                data = os.read(0, 256 * 1024)
            except OSError:
                data = b""
            if not data or len(rest) > LINE_LIMIT:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(line)
        self._take(rest)
        with self._state:
            # What is under way may still be answered, to whoever reads on.
            self._state.wait_for(lambda: not self._calls, GRACE_SECONDS)
        self._over.set()

    def _take(self, line: bytes) -> None:
        """Begin what one line asks for."""
        line = line.strip()
        if not line:
            return
        try:
            message = codec.decode(line)
        except ValueError as error:
            self._fail(None, PARSE_ERROR, f"The line is not JSON: {error}.")
            return
        if not isinstance(message, dict):
            self._fail(None, INVALID_REQUEST, "Send one JSON-RPC object a line.")
        elif "method" not in message:
            pass  # an answer; the daemon never asks
        elif "id" not in message:
            self._notice(message)
        elif isinstance(message["id"], bool) or not isinstance(message["id"], int | str):
            self._fail(None, INVALID_REQUEST, "The id of a request must be a string or a number.")
        else:
            self._begin(Call(message, line))

    def _notice(self, message: Fields) -> None:
        """Act on a notification. The daemon keeps no state that any other one could change."""
        params = message.get("params")
        if message["method"] != "notifications/cancelled" or not isinstance(params, dict):
            return
        with self._state:
            call = self._calls.get(_key(params.get("requestId")))
        if call is not None:
            call.cancel()

    def _begin(self, call: Call) -> None:
        key = _key(call.message["id"])
        with self._state:
            former = self._calls.pop(key, None)
            is_full = len(self._calls) >= CALLS_LIMIT
            if not is_full:
                self._calls[key] = call
        if former is not None:
            former.cancel()
        if is_full:
            self._fail(call, UNREACHABLE, "Too many requests at once: wait for answers first.")
            return
        threading.Thread(target=self._serve, args=(key, call), daemon=True).start()

    def _write(self, message: bytes) -> None:
        """Write one line.

        Raises:
            OSError: if the client is gone.
        """
        left = memoryview(message.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
        with self._writing:
            while left:
                left = left[os.write(1, left) :]

    def _fail(self, call: Call | None, code: int, sentence: str) -> None:
        if call is not None and call.cancelled.is_set():
            return
        try:
            self._write(error_response(call.message["id"] if call else None, code, sentence))
        except OSError:
            self._client_is_gone()

    def _client_is_gone(self) -> None:
        self._exit_code = self._exit_code or 1
        self._over.set()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._exit_code = 128 + number
        self._over.set()

    def _wind_up(self) -> None:
        """Cancel what is left, so that its mail goes back."""
        with self._state:
            calls = list(self._calls.values())
        for call in calls:
            call.cancel()
        with self._state:
            self._state.wait_for(lambda: not self._calls, 1.0)

    # The daemon's side

    def _serve(self, key: tuple[type, object], call: Call) -> None:
        try:
            self._answer(call)
        except MailboxError as error:
            self._fail(call, UNREACHABLE, str(error))
        except OSError:
            self._client_is_gone()
        except Exception as error:  # the edge of one request
            self._fail(call, INTERNAL_ERROR, f"mcp-stdio failed: {type(error).__name__}: {error}.")
        finally:
            with self._state:
                if self._calls.get(key) is call:
                    del self._calls[key]
                self._state.notify_all()

    def _answer(self, call: Call) -> None:
        """Get the answer and pass it on, over restarts of the daemon."""
        pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + PATIENCE_SECONDS
        while not call.cancelled.is_set():
            began = time.monotonic()
            daemon = self._borrow()
            is_sent = False
            try:
                connection = daemon.connect()
                call.use(connection)
                is_sent = True
                if self._exchange(call, daemon, connection):
                    self._give_back(daemon)
                    return
                failure = DaemonUnreachable("The daemon is not ready: try again in a moment.")
            except DaemonUnreachable as error:
                failure = error
            finally:
                call.use(None)
            daemon.close()
            if call.cancelled.is_set():
                return
            if isinstance(failure, ConnectionLost) and is_sent and not call.is_repeatable:
                raise DaemonUnreachable(
                    f"{failure} It is not known whether that was done: look before you repeat it."
                )
            if time.monotonic() - began > PATIENCE_SECONDS:  # a stream that had gone well
                pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > deadline:
                raise failure
            if not is_sent:
                self._start()
            call.cancelled.wait(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    def _exchange(self, call: Call, daemon: Daemon, connection: Connection) -> bool:
        """Send the request and pass the answer on; False when the daemon is not ready."""
        headers = [
            *mcp_headers(call.message, self._negotiated),
            *self._headers,
            ("X-Mailbox-Lease", str(LEASE_SECONDS)),
        ]
        answer = connection.open("POST", "/mcp", headers, call.body, seconds=ANSWER_SECONDS)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self._pass_events(call, daemon, connection, answer)
            return True
        connection.read_body(answer, seconds=ANSWER_SECONDS)
        call.use(None)
        if answer.status == 503:
            return False
        self._pass_on(call, daemon, answer, answer.body)
        return True

    def _pass_events(
        self, call: Call, daemon: Daemon, connection: Connection, answer: Answer
    ) -> None:
        """Pass on the messages of a stream; the last one is the answer.

        Raises:
            ConnectionLost: if the stream ends before that.
        """
        chunks, events = Chunks(), Events()
        while not chunks.done:
            piece = connection.read_some(chunks, seconds=SILENCE_SECONDS)
            for data in events.feed(piece):
                value = codec.decode(data)
                if isinstance(value, dict) and "method" not in value:
                    self._pass_on(call, daemon, answer, data)
                    connection.close()
                    return
                self._write(data)
        raise ConnectionLost("The daemon ended the stream.")

    def _pass_on(self, call: Call, daemon: Daemon, answer: Answer, body: bytes) -> None:
        """Write the answer, and settle the leases of the mail in it."""
        leases = [token for token in answer.headers.get("x-mailbox-leases", "").split(",") if token]
        owner = answer.headers.get("x-mailbox-holder")
        identity = Identity(unquote(owner)) if owner else None
        if call.cancelled.is_set():
            daemon.release(leases, identity)
            return
        line = response(answer, body, call.message["id"])
        if call.message["method"] == "initialize":
            self._negotiated = negotiated_version(line)
        try:
            self._write(line)
        except OSError:
            daemon.release(leases, identity)
            raise
        if call.cancelled.is_set():  # meanwhile: the client throws away what we wrote
            daemon.release(leases, identity)
            return
        # Without the daemon the mail comes again when the lease is over.
        with contextlib.suppress(MailboxError):
            daemon.ack(leases, identity)

    def _start(self) -> None:
        """Start the daemon, if it is ours to start; one thread at a time.

        Raises:
            StartupError: if it does not start.
        """
        if address.is_default(self._url):
            with self._starting:
                startup.ensure(self._url)

    def _borrow(self) -> Daemon:
        with self._state:
            return self._idle.pop() if self._idle else Daemon(self._url)

    def _give_back(self, daemon: Daemon) -> None:
        with self._state:
            self._idle.append(daemon)


def _key(identifier: object) -> tuple[type, object]:
    """Return a key that keeps the id 1 apart from "1" and from true."""
    return type(identifier), identifier if isinstance(identifier, int | str) else None
