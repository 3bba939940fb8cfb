"""The hook PreToolUse, as a process against a real daemon."""

import json
from collections.abc import Iterator

import pytest

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.rpc import Rpc
from support.commandline import CommandLine

TOOL = "mcp__plugin_claude-mailbox_mailbox__check_inbox"
INPUT = {"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": TOOL}


@pytest.fixture
def rpc(shared: CommandLine) -> Iterator[Rpc]:
    """A connection to the MCP endpoint."""
    with Rpc(("127.0.0.1", shared.process.port)) as connection:
        yield connection


def test_a_subagents_call_is_known_to_the_daemon(shared: CommandLine, rpc: Rpc) -> None:
    """By the time that the hook has ended."""
    hook = {**INPUT, "tool_use_id": "toolu_1", "agent_id": "a1"}

    done = shared.run("session-tool-call", text=json.dumps(hook))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_until_ready(shared.process)
    sentence = rpc.refuse("check_inbox", {}, X_Mailbox="main", tool_use_id="toolu_1")
    assert "subagent" in sentence


@pytest.mark.parametrize("more", [{}, {"agent_id": ""}, {"agent_id": None}])
def test_the_main_conversations_call_is_not_mentioned(
    shared: CommandLine, rpc: Rpc, more: dict[str, object]
) -> None:
    """It has no agent's id."""
    hook = {**INPUT, "tool_use_id": "toolu_2", **more}

    shared.run("session-tool-call", text=json.dumps(hook))

    wait_until_ready(shared.process)
    answer = rpc.call("check_inbox", {}, X_Mailbox="main", tool_use_id="toolu_2")
    assert answer["messages"] == []


def test_without_a_daemon_it_is_silent(own: CommandLine) -> None:
    """The call itself fails then, and says why."""
    hook = {**INPUT, "tool_use_id": "toolu_3", "agent_id": "a1"}

    own.process.kill()

    done = own.run("session-tool-call", text=json.dumps(hook))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
