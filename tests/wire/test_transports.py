"""The Unix socket: the same server as on TCP, so a smoke test is enough."""

import sys

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")


def test_mail_works_over_the_unix_socket(daemon: DaemonProcess, fresh: Fresh) -> None:
    """Sent, waited for, taken; and a tool is called."""
    assert daemon.socket_path is not None
    name = fresh("me")
    with Mail(daemon.socket_path) as mail, Mail(daemon.socket_path) as watcher:
        watcher.start_watch(name)
        mail.send("peer", name, "one")
        assert watcher.read().json()["body"] == "one"
        mail.send("peer", name, "two")
        assert mail.bodies(name) == ["two"]
        call = {"name": "peek_inbox", "arguments": {"name": name}}
        reply = mail.request(
            "POST",
            "/mcp",
            content={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
            headers={"Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"},
        )
        assert reply.json()["result"]["structuredContent"]["pending"] == 0


@pytest.mark.parametrize("pieces", [[b"GET /hea", b"lth HTTP/1.1\r\nHost: localhost\r\n\r\n"]])
def test_a_request_in_two_segments_is_answered_the_same(mail: Mail, pieces: list[bytes]) -> None:
    """How TCP cuts a request into segments decides nothing."""
    whole = mail.request("GET", "/health")
    for piece in pieces:
        mail.write(piece)
    split = mail.read()
    assert (split.status, split.body) == (whole.status, whole.body)
    assert set(split.headers) == set(whole.headers)
