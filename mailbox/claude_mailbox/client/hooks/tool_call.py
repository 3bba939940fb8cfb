"""What the hook PreToolUse runs before our tools that take or send mail. The exit code is always 0.

A subagent's call reaches the daemon by the connection of its session. Claude Code waits for this
hook before it sends the call, so the daemon knows by then whose call it is.
"""

from claude_mailbox.client.hooks.hook_io import read_input, text_field
from claude_mailbox.client.reach.api import Daemon

# Longer than the daemon takes, and short enough to wait for.
ANSWER_SECONDS = 2.0


def tool_call(*, url: str | None = None) -> int:
    """Tell the daemon that a subagent makes the call in the hook's JSON, if one does."""
    hook = read_input()
    tool_use_id = text_field(hook, "tool_use_id")
    if not (text_field(hook, "agent_id") and tool_use_id):
        return 0
    try:
        daemon = Daemon(url, seconds=ANSWER_SECONDS)
        daemon.call("POST", "/v1/session/subagent-call", body={"toolUseId": tool_use_id})
    except Exception:  # noqa: S110  # the call itself tells what is wrong with the daemon
        pass
    return 0
