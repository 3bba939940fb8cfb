"""The client's side of ``mcp-stdio``: reads requests, and serves each on its own thread.

It is for clients that cannot speak HTTP. With a thread for each request, a long one delays no
other.
"""

import codecs
import os
import signal
import sys
import threading
from collections.abc import Iterator

from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Identity
from claude_mailbox.client.stdio.forwarding import Forwarder
from claude_mailbox.client.stdio.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    UNREACHABLE,
    Fields,
    error_response,
)
from claude_mailbox.client.stdio.pending import PendingRequest
from claude_mailbox.client.stdio.process_session import ProcessSession
from claude_mailbox.errors import MailboxError

# How long requests may still be answered after the client has closed its end.
GRACE_SECONDS = 5.0
LINE_LIMIT = 512 * 1024 * 1024
PENDING_LIMIT = 64

# Requests that are made for a mailbox, which the session must have by then.
_FOR_A_MAILBOX = frozenset({"tools/call", "resources/read", "prompts/get", "subscriptions/listen"})

Key = tuple[type, object]


class Proxy:
    """The server.

    Args:
        url: address of the daemon.
        name: the mailbox of calls that do not name one.
        is_session: whether the calls are made for the session that the client's process runs; it
            is announced with the first call, unless hooks have done it.
    """

    def __init__(
        self, url: str | None = None, name: str | None = None, *, is_session: bool = False
    ) -> None:
        self._session = ProcessSession(url) if is_session else None
        identity = [] if name is None else Identity(name).headers
        if self._session is not None:
            identity = self._session.headers
        self._forwarder = Forwarder(url, identity, self._write)
        self._pending: dict[Key, PendingRequest] = {}
        self._changed = threading.Condition()  # guards the pending requests
        self._write_lock = threading.Lock()
        self._is_over = threading.Event()
        self._exit_code = 0

    def run(self) -> int:
        """Serve until standard input ends, standard output breaks or a signal comes."""
        former_handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        reader = threading.Thread(target=self._read, name="reader", daemon=True)
        reader.start()
        try:
            while not self._is_over.wait(0.5 if sys.platform == "win32" else None):
                pass
            self._cancel_pending()
            if self._session is not None:
                self._session.end()
        finally:
            for number, handler in former_handlers.items():
                signal.signal(number, handler)
        return self._exit_code

    def _read(self) -> None:
        rest = b""
        for data in _input_as_utf_8():
            if len(rest) > LINE_LIMIT:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._process(line)
        self._process(rest)
        with self._changed:
            # The client may still read the responses.
            self._changed.wait_for(lambda: not self._pending, GRACE_SECONDS)
        self._is_over.set()

    def _process(self, line: bytes) -> None:
        """Act on one line of the client."""
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
            pass  # a response; but the daemon sends no requests
        elif "id" not in message:
            self._process_notification(message)
        elif isinstance(message["id"], bool) or not isinstance(message["id"], int | str):
            self._fail(None, INVALID_REQUEST, "The id of a request must be a string or a number.")
        else:
            self._start(PendingRequest(message, line))

    def _process_notification(self, message: Fields) -> None:
        """Cancel a request. All other notifications would change state that the daemon has not."""
        params = message.get("params")
        if message["method"] != "notifications/cancelled" or not isinstance(params, dict):
            return
        with self._changed:
            request = self._pending.get(_key(params.get("requestId")))
        if request is not None:
            request.cancel()

    def _start(self, request: PendingRequest) -> None:
        """Serve a request on a new thread; it replaces a pending one with the same id."""
        key = _key(request.message["id"])
        with self._changed:
            replaced = self._pending.pop(key, None)
            is_full = len(self._pending) >= PENDING_LIMIT
            if not is_full:
                self._pending[key] = request
        if replaced is not None:
            replaced.cancel()
        if is_full:
            self._fail(request, UNREACHABLE, "Too many requests at once: wait for responses first.")
            return
        threading.Thread(target=self._serve, args=(key, request), daemon=True).start()

    def _serve(self, key: Key, request: PendingRequest) -> None:
        try:
            if self._session is not None and request.message["method"] in _FOR_A_MAILBOX:
                self._session.announce()
            self._forwarder.forward(request)
        except MailboxError as error:
            self._fail(request, UNREACHABLE, str(error))
        except OSError:
            self._end_without_client()
        except Exception as error:  # a bug of ours must fail this request alone
            sentence = f"mcp-stdio failed: {type(error).__name__}: {error}."
            self._fail(request, INTERNAL_ERROR, sentence)
        finally:
            with self._changed:
                if self._pending.get(key) is request:
                    del self._pending[key]
                self._changed.notify_all()

    def _fail(self, request: PendingRequest | None, code: int, sentence: str) -> None:
        if request is not None and request.cancelled.is_set():
            return
        identifier = request.message["id"] if request else None
        try:
            self._write(error_response(identifier, code, sentence))
        except OSError:
            self._end_without_client()

    def _write(self, message: bytes) -> None:
        """Write one line.

        Raises:
            OSError: if the client is gone.
        """
        left = memoryview(message.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
        with self._write_lock:
            while left:
                left = left[os.write(1, left) :]

    def _end_without_client(self) -> None:
        self._exit_code = self._exit_code or 1
        self._is_over.set()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._exit_code = 128 + number
        self._is_over.set()

    def _cancel_pending(self) -> None:
        """Cancel all requests, so that the daemon releases their mail."""
        with self._changed:
            requests = list(self._pending.values())
        for request in requests:
            request.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._pending, 1.0)


def _key(identifier: object) -> Key:
    """Return a key that tells the id 1 from "1" and from true."""
    return type(identifier), identifier if isinstance(identifier, int | str) else None


def _input_as_utf_8() -> Iterator[bytes]:
    """Yield standard input as it comes, until it ends; UTF-16 with a mark is converted."""
    start = b""
    while len(start) < 3 and (data := _read_some()):
        start += data
    if not codec.is_utf_16(start):
        yield start.removeprefix(codecs.BOM_UTF8)
        while data := _read_some():
            yield data
        return
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    data = start
    while data:
        yield decoder.decode(data).encode(errors="replace")
        data = _read_some()


def _read_some() -> bytes:
    try:
        return os.read(0, 256 * 1024)
    except OSError:
        return b""
