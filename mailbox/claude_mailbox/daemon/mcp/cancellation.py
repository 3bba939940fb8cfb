"""MCP calls that wait, so that their clients can give them up.

Since 2026 a client gives a call up by closing its connection, which handover.py sees. Before, it
says so in a notification on another connection, and leaves the call's own connection open: the
call would go on waiting, and the message that it takes in the end would go to a client that throws
it away. As there are no sessions, the notification is matched by who sends it and by the number of
the request. Two clients that tell nothing of themselves may so be taken for one; that is no harm,
because a call that is given up answers as if its time were over.
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

# Who sent the request, and its number with its type: 1 is not "1".
_Key = tuple[frozenset[tuple[bytes, bytes]], type, object]


class CancellableCalls:
    """The calls that wait now."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, list[trio.CancelScope]] = {}

    def __repr__(self) -> str:
        return f"<CancellableCalls: {sum(map(len, self._waiting.values()))} waiting>"

    @contextmanager
    def waiting(self, scope: Scope, request_id: object) -> Iterator[trio.CancelScope]:
        """Let the client give up what happens in the ``with`` block, which is then cancelled."""
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
        """Cancel the calls that a request gives up, if that is what it is for."""
        if _METHOD.encode() not in body:
            return
        try:
            message = json.loads(body)
            if message["method"] == _METHOD:
                key = _key(scope, message["params"]["requestId"])
                for cancel_scope in self._waiting.get(key, ()):
                    cancel_scope.cancel()
        except (ValueError, TypeError, KeyError, RecursionError):
            # Not a well-formed notification: the SDK says so.
            return


def _key(scope: Scope, request_id: object) -> _Key:
    who = frozenset(
        (name, value) for name, value in scope["headers"] if name in _IDENTIFYING_HEADERS
    )
    return who, type(request_id), request_id
