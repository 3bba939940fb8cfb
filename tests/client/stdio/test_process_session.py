"""``mcp-stdio --session``: calls are made for the session of the process that runs it."""

import json
import subprocess
import sys

from support.daemon import DaemonProcess
from wire.connection import Connection


class Client:
    """A client whose process is this one."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "claude_mailbox", "mcp-stdio", "--session"],
            env=daemon.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._call("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=INFO)

    def _call(self, method: str, **params: object) -> dict:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        stdin.write(json.dumps(message) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())["result"]

    def tool(self, name: str, **arguments: object) -> dict:
        """Call a tool and return its result."""
        return self._call("tools/call", name=name, arguments=arguments)

    def close(self) -> None:
        """End it, as clients do."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()


INFO = {"name": "test", "version": "1"}


def names(daemon: DaemonProcess) -> set[str]:
    """Return the mailboxes."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        return {row["name"] for row in connection.request("GET", "/v1/list").json()}


def test_a_client_without_hooks_has_a_mailbox_from_its_first_call_on(
    daemon: DaemonProcess,
) -> None:
    """It goes when the client goes, if nothing waits there."""
    client = Client(daemon)
    assert names(daemon) == set()
    sender = client.tool("send", to="bob", body="hello")["structuredContent"]["from"]
    assert client.tool("list_mailboxes")["structuredContent"]["you"] == sender
    assert client.tool("send", to="bob", body="x", **{"from": "other"})["isError"] is True
    assert names(daemon) == {sender, "bob"}
    client.close()
    with Connection(("127.0.0.1", daemon.port)) as connection:
        assert len(connection.request("POST", "/v1/check-inbox?name=bob", "bob").json()) == 1

    another = Client(daemon)
    another.tool("list_mailboxes")
    another.close()
    assert names(daemon) <= {"bob", sender}
