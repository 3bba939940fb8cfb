"""The short cut around the SDK says what the SDK says."""

import json
from typing import Any

import pytest

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from wire.conftest import Fresh
from wire.mail import Mail

# Means the same, but only to who ignores case: so this one is the SDK's.
_FOR_THE_SDK = {"Accept": "Application/JSON, text/event-stream"}
_CHANGING = {"id", "sentAt", "lastSeenAt", "oldestAt", "pending"}

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "send": ("send", {"from": "{me}", "to": "{me}-peer", "body": "h\u00e9 \U0001f600 \x00\n"}),
    "send without a body": ("send", {"from": "{me}", "to": "peer"}),
    "send a number": ("send", {"from": "{me}", "to": "peer", "body": 1}),
    "send to no name": ("send", {"from": "{me}", "to": "a\nb", "body": "x"}),
    "send to nobody": ("send", {"from": "{me}", "to": None, "body": "x"}),
    "send as nobody": ("send", {"to": "peer", "body": "x"}),
    "check": ("check_inbox", {"name": "{me}"}),
    "check as nobody": ("check_inbox", {}),
    "peek": ("peek_inbox", {"name": "{me}"}),
    "list": ("list_mailboxes", {"name": "{me}"}),
    "list for nobody": ("list_mailboxes", {"name": ""}),
    "rename to itself": ("rename", {"current_name": "{me}", "new_name": "{me}"}),
    "rename to nothing": ("rename", {"current_name": "{me}"}),
    "watch": ("watch", {"name": "{me}", "timeout": 5}),
    "watch for a word": ("watch", {"name": "{me}", "timeout": "long"}),
}


@pytest.mark.parametrize(
    ("era", "number"), [(HANDSHAKE, 7), (MODERN, "seven"), (MODERN, 0), ("2024-11-05", "")]
)
@pytest.mark.parametrize("case", CALLS)
def test_both_answer_alike(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str, case: str, number: object
) -> None:
    """But for the order of keys and for what differs between any two calls."""
    me = fresh("me")
    tool, arguments = CALLS[case]
    arguments = {
        key: value.format(me=me) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    answers = []
    for headers in ({}, {}, _FOR_THE_SDK):  # the first one may make mailboxes
        if tool in {"check_inbox", "watch"}:
            mail.send("peer", me)
        rpc.begin_call(tool, arguments, era=era, number=number, **headers)
        reply = rpc.message()
        answer = reply.json()
        assert answer["id"] == number
        assert type(answer["id"]) is type(number)
        answers.append((reply.status, reply.headers["content-type"], _settled(answer)))
    assert answers[1] == answers[2]


def _settled(value: Any, key: str = "") -> Any:
    """Return it without times and numbers, which differ between any two calls."""
    if isinstance(value, dict):
        return {name: _settled(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_settled(each, key) for each in value]
    if key == "text" and value.startswith("{"):
        return _settled(json.loads(value))
    return key if key in _CHANGING and value is not None else value
