"""Hooks of other clients than Claude Code, as their client runs them, and the mail that they show."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from support.daemon import DaemonProcess
from wire.connection import Connection


def run_hook(
    daemon: DaemonProcess,
    client: str,
    moment: str,
    content: Mapping[str, object],
    **variables: str,
) -> dict:
    """Run a hook with *content* on its standard input; return what it says to its client."""
    command = ["client-hook", "--client", client, "--moment", moment]
    said: dict = json.loads(run_command(daemon, command, content, **variables) or "{}")
    return said


def run_command(
    daemon: DaemonProcess,
    command: Sequence[str],
    content: Mapping[str, object],
    **variables: str,
) -> str:
    """Run a command with *content* on its standard input; return its output."""
    result = subprocess.run(
        [sys.executable, "-m", "claude_mailbox", *command],
        env=daemon.environment | variables,
        input=json.dumps(content),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    return result.stdout


def rows(daemon: DaemonProcess) -> dict[str, dict]:
    """Return the mailboxes by name."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        return {row["name"]: row for row in connection.request("GET", "/v1/list").json()}


def send(daemon: DaemonProcess, to: str, body: str, **more: object) -> None:
    """Send a message."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        content = {"to": to, "body": body, **more}
        assert connection.request("POST", "/v1/send", "alice", content=content).status == 200
