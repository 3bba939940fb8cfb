"""Whose mailbox a command is for when its options do not say it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox.client.mail.own import SESSION_VARIABLES
from support.daemon import DaemonProcess
from wire.connection import Connection


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


def send(daemon: DaemonProcess, *arguments: str, **variables: str) -> "subprocess.CompletedProcess":
    """Run ``send --to bob`` with these variables alone."""
    return run(daemon, "send", "--to", "bob", "--body", "x", *arguments, **variables)


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
    assert senders(daemon) == ["shop-0", "shop-1", "shop-2"]

    send(daemon, CODEX_THREAD_ID="id-1", CLAUDE_MAILBOX_NAME="me")
    send(daemon, "--from", "other", CODEX_THREAD_ID="id-1", CLAUDE_MAILBOX_NAME="me")
    assert senders(daemon) == ["me", "other"]


def test_the_session_of_the_shell_asks_and_replies(daemon: DaemonProcess) -> None:
    """Each side by its own variable."""
    asker, answerer = {"CLAUDE_CODE_SESSION_ID": "a"}, {"CLAUDE_MAILBOX_SESSION": "b"}
    with Connection(("127.0.0.1", daemon.port)) as connection:
        for session in "ab":
            body = {"sessionId": session, "name": f"shop-{session}"}
            assert connection.request("POST", "/v1/session", content=body).status == 200
    asked = run(daemon, "ask", "--to", "shop-b", "--timeout", "0", "May I?", **asker)
    assert asked.returncode == 3
    assert "it will come to 'shop-a'" in asked.stderr
    question = json.loads(run(daemon, "check", "--name", "shop-b", "--json").stdout)[0]["id"]
    assert run(daemon, "reply", str(question), "Yes.", **answerer).returncode == 0
    (answer,) = json.loads(run(daemon, "check", "--name", "shop-a", "--json").stdout)

    assert (answer["from"], answer["body"], answer["replyTo"]) == ("shop-b", "Yes.", question)
    refused = run(daemon, "reply", str(question), "Yes.")
    assert "give --name, or set CLAUDE_MAILBOX_NAME" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's ancestors")
def test_the_session_whose_process_runs_the_shell_sends(daemon: DaemonProcess) -> None:
    """However many shells and programs are between them."""
    key = f"{os.getpid()}-{Path('/proc/self/stat').read_text().rpartition(')')[2].split()[19]}"
    body = {"sessionId": "s", "name": "shop-s", "client": key}
    with Connection(("127.0.0.1", daemon.port)) as connection:
        assert connection.request("POST", "/v1/session", content=body).status == 200
    inner = f"{sys.executable} -m claude_mailbox send --to bob --body x; true"
    environment = {k: v for k, v in daemon.environment.items() if k not in SESSION_VARIABLES}
    subprocess.run(["sh", "-c", f"sh -c '{inner}'; true"], env=environment, check=True)

    assert senders(daemon) == ["shop-s"]


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
