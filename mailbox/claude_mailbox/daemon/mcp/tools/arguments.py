"""Checks which arguments a tool call has."""

from collections.abc import Collection

from claude_mailbox.daemon.edge.input.arguments import Arguments
from claude_mailbox.errors import BadRequest

# Arguments that clients add: n8n the first four, Gemini CLI the last.
IGNORED = frozenset({"action", "chatInput", "sessionId", "toolCallId", "wait_for_previous"})


def check_keys(arguments: Arguments, tool: str, known: Collection[str]) -> None:
    """Raise `BadRequest` if there is an unknown argument."""
    for key in arguments:
        if key not in known and key not in IGNORED:
            raise BadRequest(
                f"'{tool}' has no argument '{key[:60]}'; it takes: {', '.join(known)}."
            )
