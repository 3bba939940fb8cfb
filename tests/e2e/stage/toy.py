"""Tiny throw-away plugins, to ask the client how it behaves."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from e2e.stage.claude import Claude

Hook = Mapping[str, object]


def write_plugin(folder: Path, name: str, hooks: Mapping[str, Hook | list[Hook]]) -> Path:
    """Write the plugin *name* with one or more *hooks* for each event, and return its folder."""
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
    """Return a hook that runs a shell *command*, with further *fields*."""
    return {"type": "command", "command": command, **fields}


def answer(event: str, **output: object) -> str:
    """Return the shell command that gives the client a hook's *output* for *event*."""
    output = {"hookEventName": event, **output}
    return f"echo '{json.dumps({'hookSpecificOutput': output})}'"


# Reads the doorbell file to the model, and only wakes it when there is something in it.
WAKE = shell(
    'test -s "$BELL" && cat "$BELL" >&2 && exit 2; exit 0',
    asyncRewake=True,
    rewakeMessage="For you:",
    rewakeSummary="The bell rang",
)


class Bell:
    """A file that a toy plugin has the client watch, by the name of ``$BELL``."""

    def __init__(self, folder: Path, claude: Claude) -> None:
        self.path = folder / "bell"
        self.path.touch()
        claude.env["BELL"] = str(self.path)
        watch = answer("SessionStart", watchPaths=[str(self.path)])
        self.hooks: dict[str, Hook | list[Hook]] = {
            "SessionStart": shell(watch),
            "FileChanged": [WAKE, shell(answer("FileChanged", watchPaths=[str(self.path)]))],
        }

    def ring(self, text: str) -> float:
        """Write *text*, and return when."""
        self.path.write_text(text)
        return time.monotonic()
