"""Whose mailbox a command is for when its options do not say it."""

import subprocess
import sys

import pytest

from claude_mailbox.client.mail.own import SESSION_VARIABLES
from support.daemon import DaemonProcess
from wire.connection import Connection


def send(daemon: DaemonProcess, *arguments: str, **variables: str) -> "subprocess.CompletedProcess":
    """Run ``send --to bob`` with these variables alone."""
    return run(daemon, "send", "--to", "bob", "--body", "x", *arguments, **variables)


def run(daemon: DaemonProcess, *arguments: str, **variables: str) -> "subprocess.CompletedProcess":
    """Run a command with these variables alone."""
    inherited = {k: v for k, v in daemon.environment.items() if k not in SESSION_VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "claude_mailbox", *arguments],
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def senders(daemon: DaemonProcess) -> list[str]:
    """Take bob's mail; return who sent it."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        return [each["from"] for each in connection.request("POST", CHECK, "bob").json()]


CHECK = "/v1/check-inbox?name=bob"


def test_the_session_of_the_shell_sends(daemon: DaemonProcess) -> None:
    """Of each client that tells which it is; a name goes before it."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        for number, _ in enumerate(SESSION_VARIABLES):
            body = {"sessionId": f"id-{number}", "name": f"shop-{number}"}
            assert connection.request("POST", "/v1/session", content=body).status == 200
    for number, variable in enumerate(SESSION_VARIABLES):
        assert send(daemon, **{variable: f"id-{number}"}).returncode == 0
    assert senders(daemon) == ["shop-0", "shop-1"]

    send(daemon, CODEX_THREAD_ID="id-1", CLAUDE_MAILBOX_NAME="me")
    send(daemon, "--from", "other", CODEX_THREAD_ID="id-1", CLAUDE_MAILBOX_NAME="me")
    assert senders(daemon) == ["me", "other"]


def test_the_session_of_the_shell_asks_and_replies(daemon: DaemonProcess) -> None:
    """So the id is enough for a reply."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        body = {"sessionId": "id", "name": "shop"}
        assert connection.request("POST", "/v1/session", content=body).status == 200
        content = {"to": "shop", "body": "Ready?", "ask": 60}
        question = connection.request("POST", "/v1/send", "bob", content=content).json()["id"]
    shell = {"CLAUDE_CODE_SESSION_ID": "id"}
    assert run(daemon, "reply", str(question), "Yes.", **shell).returncode == 0
    asking = run(daemon, "ask", "--to", "bob", "--timeout", "0", "May I?", **shell)
    assert asking.returncode == 3
    assert asking.stderr.rstrip().endswith("it will come to 'shop'.")
    assert senders(daemon) == ["shop", "shop"]
    assert "give --name" in run(daemon, "reply", str(question), "Yes.").stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "give --from, or set CLAUDE_MAILBOX_NAME"),
        ({"CODEX_THREAD_ID": "1", "CLAUDE_CODE_SESSION_ID": "2"}, "Two clients"),
        ({"CODEX_THREAD_ID": "nobody"}, "announce it first, or give a name"),
    ],
)
def test_otherwise_it_asks_for_a_name(
    daemon: DaemonProcess, variables: dict[str, str], sentence: str
) -> None:
    """And sends nothing."""
    result = send(daemon, **variables)

    assert result.returncode == 1
    assert sentence in result.stderr
    assert senders(daemon) == []
