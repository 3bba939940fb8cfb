"""The hooks of Codex, Gemini CLI, Qwen Code, Copilot CLI and OpenCode, as processes."""

import os
import select
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path

import pytest

from claude_mailbox.client.hooks.others.forms import CLIENTS
from claude_mailbox.client.hooks.others.hints import HINT
from claude_mailbox.client.identity.bell_command import TEXT
from claude_mailbox.daemon.delivery.bells.doorbell import PAUSES
from client.hooks.client_process import rows, run_hook, send
from support.commandline import until
from support.daemon import DaemonProcess
from wire.connection import Connection

# One of those that speak as Claude Code does, and one of the others.
IDS = {"copilot": "sessionId", "opencode": "sessionID"}
each_form = pytest.mark.parametrize("client", ["codex", "copilot"])


def answer(
    daemon: DaemonProcess,
    client: str,
    moment: str,
    session: str,
    event: str = "E",
    **variables: str,
) -> dict[str, str]:
    """Run a hook; return what it says to its client."""
    given = {IDS.get(client, "session_id"): session, "cwd": "/srv/shop"}
    if client != "copilot":
        given["hook_event_name"] = event
    content: dict = run_hook(daemon, client, moment, given, **variables)
    if "hookSpecificOutput" in content:
        content = content["hookSpecificOutput"]
        assert content["hookEventName"] == event
    return content


def hook(
    daemon: DaemonProcess,
    client: str,
    moment: str,
    session: str,
    event: str = "E",
    **variables: str,
) -> str:
    """Run a hook; return the text that the model gets."""
    content = answer(daemon, client, moment, session, event, **variables)
    return content.get("additionalContext", "")


@each_form
def test_a_session_has_a_mailbox_and_sees_mail_once(daemon: DaemonProcess, client: str) -> None:
    """From its start to its end, with the prompt or after a tool, and resumed under its name."""
    told = hook(daemon, client, "start", "11111111-2222")
    assert 'This session has the mailbox "shop-11111111".' in told
    assert f"{CLIENTS[client].tools}send(to, body)" in told
    assert hook(daemon, client, "prompt", "11111111-2222") == ""
    assert rows(daemon)["shop-11111111"]["state"] == "working"

    send(daemon, "shop-11111111", "Hello")
    assert "\n  Hello\n" in hook(daemon, client, "prompt", "11111111-2222")
    assert hook(daemon, client, "prompt", "11111111-2222") == ""
    send(daemon, "shop-11111111", "And again")
    assert "\n  And again\n" in hook(daemon, client, "tool", "11111111-2222")

    assert hook(daemon, client, "stop", "11111111-2222") == ""
    assert rows(daemon)["shop-11111111"]["state"] == "idle"
    assert hook(daemon, client, "end", "11111111-2222") == ""
    assert "shop-11111111" in hook(daemon, client, "start", "11111111-2222")


@each_form
def test_a_session_that_was_never_announced_is_introduced_at_its_prompt(
    daemon: DaemonProcess, client: str
) -> None:
    """And never by the hook of a tool."""
    assert hook(daemon, client, "tool", "99999999") == ""
    told = hook(daemon, client, "prompt", "99999999")

    assert 'This session has the mailbox "shop-99999999".' in told
    assert hook(daemon, client, "tool", "99999999") == ""


def test_a_session_of_qwen_is_introduced_by_its_first_prompt(daemon: DaemonProcess) -> None:
    """What its hook says at the start does not reach the model; resumed, it is known already."""
    given = {"session_id": "abc", "cwd": "/srv/shop", "hook_event_name": "SessionStart"}
    assert run_hook(daemon, "qwen", "start", {**given, "source": "startup"}) == {}
    assert rows(daemon) == {}
    assert "shop-abc" in hook(daemon, "qwen", "prompt", "abc")
    hook(daemon, "qwen", "end", "abc")
    assert run_hook(daemon, "qwen", "start", {**given, "source": "resume"}) == {}
    assert rows(daemon)["shop-abc"]["state"] == "idle"
    assert hook(daemon, "qwen", "prompt", "abc") == ""


def test_opencode_is_told_which_bell_to_watch(daemon: DaemonProcess) -> None:
    """It rings when mail comes, and only the user's own command takes its place."""
    first = answer(daemon, "opencode", "start", "ses_1")
    bell = Path(first["bell"])
    assert "it wakes you" in first["additionalContext"]
    before = bell.read_bytes()
    send(daemon, "shop-ses1", "Hello")
    until(lambda: bell.read_bytes() != before, "a ring")

    own = answer(daemon, "opencode", "start", "ses_2", CLAUDE_MAILBOX_BELL="true")
    assert "it wakes you" in own["additionalContext"]
    assert "bell" not in own


def test_a_prompt_of_the_user_releases_held_messages(daemon: DaemonProcess) -> None:
    """Not one that mail has started, as the codex command and our hooks do."""
    one, other = "shop-one", "shop-other"
    for session in ("one", "other"):
        hook(daemon, "codex", "start", session)
    with Connection(("127.0.0.1", daemon.port)) as connection:
        pairs = cycle([(one, other), (other, one)])
        for sender, to in islice(pairs, 40):
            content = {"to": to, "body": "thanks"}
            assert connection.request("POST", "/v1/send", sender, content=content).status == 200

        def held() -> int:
            return len(connection.request("GET", "/v1/held").json())

        given = {"session_id": "one", "hook_event_name": "E", "cwd": "/srv/shop"}
        for prompt in (TEXT, HINT):
            run_hook(daemon, "codex", "prompt", {**given, "prompt": prompt})
            assert held() == 1
        run_hook(daemon, "codex", "prompt", {**given, "prompt": "Go on."})
        assert held() == 0


def test_a_process_with_many_sessions_says_which_one_calls(daemon: DaemonProcess) -> None:
    """The last one that was announced, or that said so."""

    code = "from claude_mailbox.client.identity import client_process as c; print(c.ancestor_key())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    def caller() -> str:
        with Connection(("127.0.0.1", daemon.port)) as connection:
            path = f"/v1/session?client={shown.stdout.strip()}"
            name = connection.request("GET", path).json()["name"]
            assert isinstance(name, str)
            return name

    for session in ("ses_1", "ses_2"):
        hook(daemon, "opencode", "start", session)
    assert caller() == "shop-ses2"
    assert hook(daemon, "opencode", "call", "ses_1") == ""
    assert caller() == "shop-ses1"


def test_without_a_daemon_a_prompt_says_so_in_one_line(daemon: DaemonProcess) -> None:
    """And the end of a session says nothing."""
    daemon.kill()

    assert "'claude-mailbox start'" in hook(daemon, "codex", "prompt", "1")
    assert hook(daemon, "codex", "end", "1") == ""
    assert hook(daemon, "codex", "stop", "1") == ""


def test_unknown_words_are_refused(daemon: DaemonProcess) -> None:
    """They are ours to get right."""
    result = subprocess.run(
        [sys.executable, "-m", "claude_mailbox", "client-hook", "--client", "x", "--moment", "y"],
        env=daemon.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "--client one of amp, codex" in result.stderr


def test_mail_runs_the_command_that_wakes_an_idle_session(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    """Not while a turn runs, not twice for mail that was seen, and not after the session's end."""
    pipe = tmp_path / "rung"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)  # so that the reader never finds the end
    bell = {"CLAUDE_MAILBOX_BELL": f"echo $CLAUDE_MAILBOX_SESSION >> {pipe}"}

    def rung(seconds: float) -> bytes:
        ready, _, _ = select.select([reader], [], [], seconds)
        return os.read(reader, 100) if ready else b""

    assert "it wakes you" in hook(daemon, "qwen", "prompt", "abc", **bell)
    hook(daemon, "qwen", "stop", "abc", **bell)
    send(daemon, "shop-abc", "one")
    assert rung(20) == b"abc\n"
    # The doorbell repeats a ring after 2 seconds; a command is not run again so soon.
    assert rung(PAUSES[0] + 0.5) == b""
    assert "one" in hook(daemon, "qwen", "prompt", "abc", **bell)

    send(daemon, "shop-abc", "while it works")
    assert rung(0.5) == b""
    assert "while it works" in hook(daemon, "qwen", "tool", "abc", **bell)
    hook(daemon, "qwen", "stop", "abc", **bell)
    send(daemon, "shop-abc", "two")
    assert rung(20) == b"abc\n"

    hook(daemon, "qwen", "end", "abc", **bell)
    send(daemon, "shop-abc", "three")
    assert rung(0.5) == b""
    assert not list((daemon.home / "bells").iterdir())
    os.close(reader)
    os.close(writer)
