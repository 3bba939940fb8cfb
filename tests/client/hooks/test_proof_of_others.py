"""Mail that the hooks of Codex and OpenCode print is delivered when the model is proved to have it."""

import json
import re
from pathlib import Path

import pytest

from client.hooks.client_process import rows, run_hook, send
from client.transcript.rollout import ANSWER, CALL, OUTPUT, START, USAGE, append, message
from support.daemon import DaemonProcess
from wire.connection import Connection

NAME = "shop-c0de"


class Codex:
    """A session of Codex, whose rollout is a file of the test's own."""

    def __init__(self, daemon: DaemonProcess, path: Path) -> None:
        self._daemon = daemon
        self.path = path
        append(path, START)

    def hook(self, moment: str, event: str, **more: object) -> str:
        """Run a hook; return the text for the model."""
        common = {"session_id": "c0de", "cwd": "/srv/shop", "transcript_path": str(self.path)}
        said = run_hook(self._daemon, "codex", moment, {**common, "hook_event_name": event, **more})
        text = said.get("hookSpecificOutput", {}).get("additionalContext", "")
        assert isinstance(text, str)
        return text

    def prompt(self) -> str:
        """Let the user enter a prompt; the rollout has what the hook says."""
        text = self.hook("prompt", "UserPromptSubmit", prompt="Go on.")
        append(self.path, START, message("user", "Go on."), message("developer", text))
        return text


@pytest.fixture
def codex(daemon: DaemonProcess, tmp_path: Path) -> Codex:
    """A session that was introduced, with one message."""
    session = Codex(daemon, tmp_path / "rollout.jsonl")
    session.hook("start", "SessionStart", source="startup")
    send(daemon, NAME, "one")
    return session


def state(daemon: DaemonProcess) -> object:
    """Return what became of the message."""
    with Connection(("127.0.0.1", daemon.port)) as connection:
        status = connection.request("GET", "/v1/message?id=1", "alice").json()
        return status["state"]


def test_the_end_of_the_turn_proves_it(daemon: DaemonProcess, codex: Codex) -> None:
    """The hook that runs then finds the answer."""
    assert "  one\n[mail " in codex.prompt()
    assert state(daemon) == "leased"
    append(codex.path, ANSWER, USAGE)
    codex.hook("stop", "Stop")
    assert state(daemon) == "delivered"
    assert codex.prompt() == ""


def test_between_tools_it_is_proved_by_the_next_response(
    daemon: DaemonProcess, codex: Codex
) -> None:
    """And told with the next prompt, if the turn was broken off."""
    append(codex.path, CALL)
    text = codex.hook("tool", "PostToolUse")
    append(codex.path, message("developer", text), OUTPUT, USAGE)
    assert state(daemon) == "leased"
    append(codex.path, ANSWER)
    assert codex.prompt() == ""
    assert state(daemon) == "delivered"


def test_what_did_not_arrive_comes_back(daemon: DaemonProcess, codex: Codex) -> None:
    """Another hook may have refused the prompt, so that the rollout never has the text."""
    codex.hook("prompt", "UserPromptSubmit", prompt="Go on.")
    assert codex.prompt() == ""
    append(codex.path, ANSWER, USAGE)
    codex.hook("stop", "Stop")
    assert state(daemon) == "waiting"
    assert "  one\n[mail " in codex.prompt()


def test_what_a_resumed_conversation_has_is_not_shown_again(
    daemon: DaemonProcess, codex: Codex
) -> None:
    """The model reads it with its next answer."""
    assert "  one" in codex.prompt()
    told = codex.hook("start", "SessionStart", source="resume")
    assert "Unread" not in told
    assert state(daemon) == "delivered"


def test_the_plugin_for_opencode_hands_over_what_proves_it(daemon: DaemonProcess) -> None:
    """Without it, mail is delivered when it is shown."""
    given = {"sessionID": "ses_1", "cwd": "/srv/shop"}
    run_hook(daemon, "opencode", "start", {**given, "lines": []})
    send(daemon, "shop-ses1", "one")
    text = run_hook(daemon, "opencode", "tool", {**given, "lines": []})["additionalContext"]
    assert state(daemon) == "leased"
    (mark,) = re.findall(r"\[mail .*\]", text)
    context = json.dumps({"type": "context", "text": mark}) + "\n"
    run_hook(daemon, "opencode", "stop", {**given, "lines": [context]})
    assert state(daemon) == "leased"
    answer = json.dumps({"type": "answer", "timestamp": "2026-11-27T13:07:04.362Z"}) + "\n"
    run_hook(daemon, "opencode", "stop", {**given, "lines": [context, answer]})
    assert state(daemon) == "delivered"

    send(daemon, "shop-ses1", "two")
    assert "  two\n" in run_hook(daemon, "opencode", "tool", given)["additionalContext"]
    assert rows(daemon)["shop-ses1"]["pending"] == 0


@pytest.mark.parametrize("content", [None, '{"of": "another form"}\n'], ids=["no file", "unknown"])
def test_without_a_known_transcript_the_end_of_the_turn_counts(
    daemon: DaemonProcess, codex: Codex, content: str | None
) -> None:
    """Otherwise the message would come again and again."""
    codex.path.unlink()
    assert "  one\n[mail " in codex.hook("prompt", "UserPromptSubmit", prompt="Go on.")
    if content is not None:
        codex.path.write_text(content)
    codex.hook("stop", "Stop")
    assert state(daemon) == "delivered"


def test_copilot_starts_beside_its_first_prompt(daemon: DaemonProcess, tmp_path: Path) -> None:
    """What that has shown is not taken for lost."""
    events = tmp_path / "session-state" / "c0de" / "events.jsonl"
    events.parent.mkdir(parents=True)
    events.touch()
    home = {"COPILOT_HOME": str(tmp_path)}
    given = {"sessionId": "c0de", "cwd": "/srv/shop"}
    run_hook(daemon, "copilot", "start", {**given, "source": "new"}, **home)
    send(daemon, NAME, "one")
    prompt = {**given, "prompt": "Go on."}
    assert "  one" in run_hook(daemon, "copilot", "prompt", prompt, **home)["additionalContext"]
    run_hook(daemon, "copilot", "start", {**given, "source": "resume"}, **home)
    assert state(daemon) == "leased"
