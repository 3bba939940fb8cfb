"""Waiting MCP calls, which clients can cancel.

Since protocol version 2026-07-28 a client cancels a call by closing its connection, which handover.py
notices. Older clients send ``notifications/cancelled`` on another connection and keep the call's own
open. Without this module such a call would go on waiting, and take a message that the client drops.

There are no MCP sessions, so the notification is matched by identifying headers and the number of the
request. Two clients without such headers may be mistaken for each other. That does no harm, because a
cancelled call answers like one whose time is over.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from claude_mailbox.daemon.edge.input.callers import CLIENT_HEADER, MAILBOX_HEADER, SESSION_HEADER
from claude_mailbox.daemon.http.asgi import Scope

_METHOD = "notifications/cancelled"
_IDENTIFYING_HEADERS = frozenset(
    {MAILBOX_HEADER, SESSION_HEADER, CLIENT_HEADER, b"authorization", b"user-agent"}
)

# The identifying headers, and the request's number with its type: 1 is not "1".
_Key = tuple[frozenset[tuple[bytes, bytes]], type, object]


class CancellableCalls:
    """The calls that are waiting."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, list[trio.CancelScope]] = {}

    def __repr__(self) -> str:
        return f"<CancellableCalls: {sum(map(len, self._waiting.values()))} waiting>"

    @contextmanager
    def waiting(self, scope: Scope, request_id: object) -> Iterator[trio.CancelScope]:
        """Make the ``with`` block a call that its client can cancel."""
        key = _key(scope, request_id)
        with trio.CancelScope() as cancel_scope:
            self._waiting.setdefault(key, []).append(cancel_scope)
            try:
                yield cancel_scope
            finally:
                scopes = self._waiting[key]
                scopes.remove(cancel_scope)
                if not scopes:
                    del self._waiting[key]

    def cancel_by(self, scope: Scope, body: bytes) -> None:
        """Cancel the calls that a request names, if it is such a notification."""
        if _METHOD.encode() not in body:
            return
        try:
            message = json.loads(body)
            if message["method"] == _METHOD:
                key = _key(scope, message["params"]["requestId"])
                for cancel_scope in self._waiting.get(key, ()):
                    cancel_scope.cancel()
        except (ValueError, TypeError, KeyError, RecursionError):
            # A malformed notification: the SDK answers it.
            return


def _key(scope: Scope, request_id: object) -> _Key:
    who = frozenset(
        (name, value) for name, value in scope["headers"] if name in _IDENTIFYING_HEADERS
    )
    return who, type(request_id), request_id
