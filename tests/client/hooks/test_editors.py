"""The hooks of Cursor, VS Code and Goose, fed with the JSON of those clients' documentation."""

import pytest

from claude_mailbox.client.hooks.others.hints import HINT
from client.hooks.client_process import rows, run_command, run_hook, send
from support.daemon import DaemonProcess

# https://cursor.com/docs/hooks, the common schema.
CURSOR: dict[str, object] = {
    "conversation_id": "668320d2-2fd8-4888-b33c-2a466fec86e7",
    "generation_id": "490b90b7-a2ce-4c2c-bb76-cb77b125df2f",
    "model": "claude-opus-4-7-thinking-max",
    "cursor_version": "3.20.17",
    "workspace_roots": ["/srv/shop"],
    "user_email": None,
    "transcript_path": None,
}
# https://code.visualstudio.com/docs/agent-customization/hooks, the common input fields.
VSCODE: dict[str, object] = {
    "timestamp": "2026-02-09T10:30:00.000Z",
    "cwd": "/srv/shop",
    "sessionId": "c0ffee00-1111",
    "transcript_path": "/path/to/transcript.json",
}
# What its source has for the same (extensions/copilot, chatHookService).
VSCODE_SOURCE = {
    "timestamp": "2026-02-09T10:30:00.000Z",
    "session_id": "c0ffee00-1111",
    "cwd": "/srv/shop",
}
# https://block.github.io/goose/docs/guides/context-engineering/hooks, the payload.
GOOSE = {"session_id": "20261127_1", "working_dir": "/srv/shop"}


def test_cursor_gets_its_forms(daemon: DaemonProcess) -> None:
    """Introduced at the start, mail between tools; at a prompt and at the end it is only told of."""

    def hook(moment: str, event: str, **more: object) -> dict:
        return run_hook(daemon, "cursor", moment, {**CURSOR, "hook_event_name": event, **more})

    started = hook(
        "start", "sessionStart", session_id=CURSOR["conversation_id"], composer_mode="agent"
    )
    assert list(started) == ["additional_context"]
    assert 'Tools (you are "shop-668320d2")' in started["additional_context"]
    prompt = {"prompt": "Fix the bug", "attachments": []}
    assert hook("prompt", "beforeSubmitPrompt", **prompt) == {}
    assert rows(daemon)["shop-668320d2"]["state"] == "working"

    send(daemon, "shop-668320d2", "one")
    told = hook("prompt", "beforeSubmitPrompt", **prompt)
    assert told == {"continue": True, "additional_context": f"[Claude-Mailbox] {HINT}"}
    tool = {"tool_name": "Shell", "tool_output": "{}", "tool_use_id": "abc123", "cwd": ""}
    shown = hook("tool", "postToolUse", **tool)
    assert list(shown) == ["additional_context"]
    assert "\n  one\n" in shown["additional_context"]
    assert hook("tool", "postToolUse", **tool) == {}

    send(daemon, "shop-668320d2", "of no hurry", urgency="low")
    assert hook("stop", "stop", status="completed", loop_count=0) == {}
    send(daemon, "shop-668320d2", "two")
    assert hook("stop", "stop", status="aborted", loop_count=0) == {}
    assert rows(daemon)["shop-668320d2"]["state"] == "idle"
    hook("prompt", "beforeSubmitPrompt", **prompt)
    assert hook("stop", "stop", status="completed", loop_count=0) == {"followup_message": HINT}
    assert rows(daemon)["shop-668320d2"]["state"] == "working"
    assert hook("stop", "stop", status="completed", loop_count=1) == {}
    assert rows(daemon)["shop-668320d2"]["state"] == "idle"

    assert hook("end", "sessionEnd", session_id="668320d2", reason="completed") == {}
    assert rows(daemon)["shop-668320d2"]["state"] == "ended"
    assert not list((daemon.home / "bells").iterdir())


@pytest.mark.parametrize(
    ("common", "event"), [(VSCODE, "hookEventName"), (VSCODE_SOURCE, "hook_event_name")]
)
def test_vscode_gets_its_forms(
    daemon: DaemonProcess, common: dict[str, object], event: str
) -> None:
    """The same, in its form; its documentation and its source call the fields differently."""

    def hook(moment: str, name: str, **more: object) -> dict:
        return run_hook(daemon, "vscode", moment, {**common, event: name, **more})

    started = hook("start", "SessionStart", source="new")["hookSpecificOutput"]
    assert started["hookEventName"] == "SessionStart"
    assert 'Tools (you are "shop-c0ffee00")' in started["additionalContext"]
    assert hook("prompt", "UserPromptSubmit", prompt="Fix it") == {}

    send(daemon, "shop-c0ffee00", "one")
    told = hook("prompt", "UserPromptSubmit", prompt="Fix it")["hookSpecificOutput"]
    assert told == {
        "hookEventName": "UserPromptSubmit",
        "additionalContext": f"[Claude-Mailbox] {HINT}",
    }
    tool = {"tool_name": "editFiles", "tool_use_id": "tool-123", "tool_response": "File edited"}
    shown = hook("tool", "PostToolUse", **tool)["hookSpecificOutput"]
    assert "\n  one\n" in shown["additionalContext"]

    send(daemon, "shop-c0ffee00", "two")
    stopped = hook("stop", "Stop", stop_hook_active=False)["hookSpecificOutput"]
    assert stopped == {"hookEventName": "Stop", "decision": "block", "reason": HINT}
    assert hook("stop", "Stop", stop_hook_active=True) == {}


def test_goose_gets_its_forms(daemon: DaemonProcess) -> None:
    """It takes no text but at a turn's end."""

    def hook(moment: str, event: str, **more: object) -> dict:
        return run_hook(daemon, "goose", moment, {**GOOSE, "event": event, **more})

    assert hook("start", "SessionStart") == {}
    assert "shop-20261127" in rows(daemon)
    send(daemon, "shop-20261127", "one")
    assert hook("prompt", "UserPromptSubmit", message="summarize this file") == {}
    assert hook("stop", "Stop", last_assistant_message="Done.") == {
        "decision": "block",
        "reason": HINT,
    }
    assert hook("stop", "Stop", last_assistant_message="Done.") == {}
    assert hook("end", "SessionEnd") == {}


def test_a_session_that_was_never_announced_is_introduced_at_its_prompt(
    daemon: DaemonProcess,
) -> None:
    """The hook of a session's start may come too late, or not at all."""
    content = {**CURSOR, "hook_event_name": "beforeSubmitPrompt", "prompt": "Hello"}
    told = run_hook(daemon, "cursor", "prompt", content)

    assert told["continue"] is True
    assert 'you are "shop-668320d2"' in told["additional_context"]


@pytest.mark.parametrize(
    ("client", "content"),
    [
        # VS Code runs the hooks of Copilot CLI, and Copilot CLI those of VS Code.
        ("copilot", {**VSCODE, "hookEventName": "SessionStart"}),
        ("vscode", {"sessionId": "a65fbd3d", "timestamp": 1795764892682, "cwd": "/srv/shop"}),
    ],
)
def test_the_hooks_of_a_neighbour_say_nothing(
    daemon: DaemonProcess, client: str, content: dict[str, object]
) -> None:
    """They have a file of their own."""
    assert run_hook(daemon, client, "start", content) == {}
    assert rows(daemon) == {}


@pytest.mark.parametrize(
    "content",
    [
        {**VSCODE_SOURCE, "hook_event_name": "UserPromptSubmit", "prompt": "Fix it"},
        {
            **CURSOR,
            "session_id": CURSOR["conversation_id"],
            "hook_event_name": "beforeSubmitPrompt",
        },
    ],
    ids=["vscode", "cursor"],
)
@pytest.mark.parametrize(
    "command",
    [["check", "--hook"], ["session-announce"], ["session-event"], ["session-end"]],
    ids=lambda command: command[0],
)
def test_in_editors_the_hooks_of_claude_code_do_nothing(
    daemon: DaemonProcess, command: list[str], content: dict[str, object]
) -> None:
    """Both read its settings; what it is told there would be wrong."""
    assert run_command(daemon, command, content) == ""
    assert rows(daemon) == {}
