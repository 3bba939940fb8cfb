"""Tiny plugins that test how the client behaves."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from e2e.harness.claude import Claude

Hook = Mapping[str, object]


def write_plugin(folder: Path, name: str, hooks: Mapping[str, Hook | list[Hook]]) -> Path:
    """Write a plugin with one or more hooks for each event, and return its folder."""
    plugin = folder / name
    (plugin / ".claude-plugin").mkdir(parents=True)
    (plugin / ".claude-plugin" / "plugin.json").write_text(json.dumps({"name": name}))
    (plugin / "hooks").mkdir()
    events = {
        event: [{"hooks": hook if isinstance(hook, list) else [hook]}]
        for event, hook in hooks.items()
    }
    (plugin / "hooks" / "hooks.json").write_text(json.dumps({"hooks": events}))
    return plugin


def shell(command: str, **fields: object) -> Hook:
    """Return a hook that runs a shell *command*, with additional *fields*."""
    return {"type": "command", "command": command, **fields}


def hook_output(event: str, **output: object) -> str:
    """Return a shell command that prints the *output* of a hook for *event*."""
    output = {"hookEventName": event, **output}
    return f"echo '{json.dumps({'hookSpecificOutput': output})}'"


# Wakes the model with the text in the file, if there is any.
WAKE = shell(
    'test -s "$BELL" && cat "$BELL" >&2 && exit 2; exit 0',
    asyncRewake=True,
    rewakeMessage="For you:",
    rewakeSummary="The bell rang",
)


class Bell:
    """A file that a toy plugin makes the client watch, whose path is in ``$BELL``."""

    def __init__(self, folder: Path, claude: Claude) -> None:
        self.path = folder / "bell"
        self.path.touch()
        claude.env["BELL"] = str(self.path)
        watch = hook_output("SessionStart", watchPaths=[str(self.path)])
        self.hooks: dict[str, Hook | list[Hook]] = {
            "SessionStart": shell(watch),
            "FileChanged": [WAKE, shell(hook_output("FileChanged", watchPaths=[str(self.path)]))],
        }

    def ring(self, text: str) -> float:
        """Write *text* to the file, and return the time."""
        self.path.write_text(text)
        return time.monotonic()
