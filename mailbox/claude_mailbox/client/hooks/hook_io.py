"""A hook's input and output in Claude Code: JSON in; text or JSON out."""

import os
import sys

from claude_mailbox.client import codec

# Claude Code cuts longer output of a hook, and shows the model a preview of it.
OUTPUT_LIMIT = 10_000
INPUT_LIMIT = 8 * 1024 * 1024
# When the command is run by hand, standard input may stay open and silent.
INPUT_SECONDS = 1.0
# From hooks of these events Claude Code takes JSON; from all others, and by hand, plain text.
_JSON_EVENTS = frozenset(
    {"SubagentStart", "SubagentStop", "Stop", "TaskCreated", "TaskCompleted", "TeammateIdle"}
    | {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification"}
    | {"FileChanged", "CwdChanged", "PreCompact", "PostCompact"}
)


def read_input() -> dict[str, object]:
    """Return the JSON object on standard input, or an empty one if there is none.

    It does not wait for a terminal, and at most a second for a silent pipe.
    """
    try:
        descriptor = sys.stdin.fileno()
        value = {} if os.isatty(descriptor) else read_object(descriptor)
    except (AttributeError, OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_object(descriptor: int) -> object:
    """Decode JSON until an object is complete, the input ends, or nothing comes for a second.

    Raises:
        ValueError: if it is not JSON.
    """
    data = b""
    while len(data) < INPUT_LIMIT and _has_input(descriptor):
        piece = os.read(descriptor, 64 * 1024)
        if not piece:
            break
        data += piece
        if data.rstrip(b"\0\r\n\t ").endswith(b"}"):
            try:
                return codec.decode(data)
            except ValueError:
                continue  # the brace of an inner object
    return codec.decode(data)


def text_field(hook: dict[str, object], key: str) -> str:
    """Return a field of the input if it is a string, else an empty string."""
    value = hook.get(key)
    return value if isinstance(value, str) else ""


def is_of_another_client(hook: dict[str, object]) -> bool:
    """Return whether VS Code or Cursor runs the hook: both read Claude Code's settings, too.

    They have their own hooks, in which Claude Code's answers would be wrong.
    """
    return "timestamp" in hook or "cursor_version" in hook


def is_attended() -> bool:
    """Return whether the session has a user, so that it outlives its turn and can be woken.

    In a one-shot run (``claude -p``) Claude Code waits for such a hook and discards its output.
    """
    return os.environ.get("CLAUDE_CODE_SESSION_ATTENDED") != "0"


def output_for(event: str, text: str, *, is_hint: bool = False) -> str:
    """Return *text* in the form that Claude Code takes from a hook of *event*.

    Where text would become context and keep the model going, a hint goes to the user instead.
    """
    if event not in _JSON_EVENTS:
        return text + "\n"
    if is_hint:
        return codec.encode({"systemMessage": text}) + "\n"
    output = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}
    return codec.encode(output) + "\n"


def _has_input(descriptor: int) -> bool:
    if sys.platform == "win32":  # where `select` takes sockets only
        return True
    import select

    return bool(select.select([descriptor], [], [], INPUT_SECONDS)[0])
