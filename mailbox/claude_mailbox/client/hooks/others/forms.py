"""The input and output of the hooks of other clients than Claude Code.

docs/clients.md names the documentation of each.
"""

import os

from claude_mailbox.client import codec
from claude_mailbox.client.hooks.hook_io import text_field

# When a hook runs. "call" is before a call of one of our tools, where one process may run many
# sessions.
MOMENTS = ("start", "prompt", "call", "tool", "stop", "end")
_BEFORE_STOP = ("start", "prompt", "tool")


class ClientForm:
    """The hooks of one client.

    Attributes:
        tools: what the names of our tools begin with there; None where one process runs many
            sessions, so that each call has to say whose it is.
        takes_mail: the moments at which text reaches the model, as documented.
        takes_hints: those at which it may, so that it has nothing in it that could be lost.
        is_prolonged: whether its hook for the end of a turn can make the model go on.
        is_introduced_late: whether a new session is introduced by its first prompt alone.
        watches_bell: whether it watches the session's bell itself, as Claude Code does.
        starts_alone: whether its hook for the start has ended before that of a prompt begins.
        has_proof: whether its transcript proves what its model has been given.

    Args:
        id_fields: what its input calls the session's id.
        output: returns what it takes text in, given the name of the event.
        going_on: returns what makes a turn go on, given the name of the event and a text for the
            model; None if nothing does.
        has_event: whether its input names the event; None if that does not matter.
        transcript: returns the path of a session's transcript where the input does not say it.
    """

    def __init__(
        self,
        tools: "str | None",
        id_fields: "tuple[str, ...]",
        output: "Output",
        going_on: "GoingOn | None" = None,
        *,
        takes_mail: "tuple[str, ...]" = _BEFORE_STOP,
        takes_hints: "tuple[str, ...]" = (),
        is_introduced_late: bool = False,
        watches_bell: bool = False,
        starts_alone: bool = True,
        has_proof: bool = False,
        has_event: "bool | None" = None,
        transcript: "Callable[[str], str] | None" = None,
    ) -> None:
        self.tools = tools
        self.takes_mail = takes_mail
        self.takes_hints = takes_hints
        self.is_prolonged = going_on is not None
        self.is_introduced_late = is_introduced_late
        self.watches_bell = watches_bell
        self.starts_alone = starts_alone
        self.has_proof = has_proof
        self._id_fields = id_fields
        self._output = output
        self._going_on = going_on
        self._has_event = has_event
        self._transcript = transcript

    def is_spoken_by(self, hook: "dict[str, object]") -> bool:
        """Return whether the input is of this client: VS Code runs the hooks of Copilot CLI, too."""
        return self._has_event is None or self._has_event == bool(_event(hook))

    def session(self, hook: "dict[str, object]") -> str:
        """Return the session's id, or an empty string."""
        return next((found for key in self._id_fields if (found := text_field(hook, key))), "")

    def transcript(self, hook: "dict[str, object]") -> str:
        """Return the path of the session's transcript if it proves something, or an empty string."""
        if not self.has_proof:
            return ""
        told = text_field(hook, "transcript_path") or text_field(hook, "transcriptPath")
        return told or (self._transcript(self.session(hook)) if self._transcript else "")

    def text(self, hook: "dict[str, object]", text: str, **more: object) -> str:
        """Return what gives the model a text."""
        return _json({**self._output(_event(hook), text), **more})

    def going_on(self, hook: "dict[str, object]", text: str) -> str:
        """Return what makes the turn go on with a text for the model."""
        return _json(self._going_on(_event(hook), text)) if self._going_on else ""


def working_folder(hook: "dict[str, object]") -> str:
    """Return the folder that the session works in."""
    roots = hook.get("workspace_roots")
    first = roots[0] if isinstance(roots, list) and roots else ""
    own = text_field(hook, "cwd") or text_field(hook, "working_dir")
    return own or (first if isinstance(first, str) else "") or os.getcwd()


def _event(hook: "dict[str, object]") -> str:
    return text_field(hook, "hook_event_name") or text_field(hook, "hookEventName")


def _json(content: "dict[str, object]") -> str:
    return codec.encode(content) + "\n"


def _as_claude_code(event: str, text: str) -> "dict[str, object]":
    return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}


def _plain(_event: str, text: str) -> "dict[str, object]":
    return {"additionalContext": text}


def _cursor(event: str, text: str) -> "dict[str, object]":
    # Without "continue" a prompt might not be sent.
    more = {"continue": True} if event == "beforeSubmitPrompt" else {}
    return {**more, "additional_context": text}


def _block(_event: str, text: str) -> "dict[str, object]":
    return {"decision": "block", "reason": text}


def _block_inside(event: str, text: str) -> "dict[str, object]":
    return {"hookSpecificOutput": {"hookEventName": event, **_block(event, text)}}


def _follow_up(_event: str, text: str) -> "dict[str, object]":
    return {"followup_message": text}


def _of_copilot(session: str) -> str:
    home = os.environ.get("COPILOT_HOME") or os.path.join(os.path.expanduser("~"), ".copilot")
    path = os.path.join(home, "session-state", session, "events.jsonl")
    return path if os.path.exists(path) else ""


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Output = Callable[[str, str], dict[str, object]]
    GoingOn = Callable[[str, str], dict[str, object]]

_ONCE = ("start", "tool")
CLIENTS = {
    "amp": ClientForm(None, ("thread",), _plain, watches_bell=True),
    "codex": ClientForm("mcp__mailbox__", ("session_id",), _as_claude_code, has_proof=True),
    "copilot": ClientForm(
        "mailbox-",
        ("sessionId",),
        _plain,
        _block,
        starts_alone=False,
        has_proof=True,
        has_event=False,
        transcript=_of_copilot,
    ),
    "cursor": ClientForm(
        None,
        ("conversation_id", "session_id"),
        _cursor,
        _follow_up,
        takes_mail=_ONCE,
        takes_hints=("prompt",),
    ),
    "gemini": ClientForm("mcp_mailbox_", ("session_id",), _as_claude_code, _block, has_proof=True),
    "goose": ClientForm("mailbox__", ("session_id",), _plain, _block, takes_mail=()),
    "opencode": ClientForm("mailbox_", ("sessionID",), _plain, watches_bell=True, has_proof=True),
    "qwen": ClientForm(
        "mcp__mailbox__",
        ("session_id",),
        _as_claude_code,
        _block,
        takes_mail=("prompt", "tool"),
        is_introduced_late=True,
        has_proof=True,
    ),
    "vscode": ClientForm(
        None,
        ("session_id", "sessionId"),
        _as_claude_code,
        _block_inside,
        takes_mail=_ONCE,
        takes_hints=("prompt",),
        has_event=True,
    ),
}
