"""Tiny plugins that test how the client behaves."""

import json
from collections.abc import Mapping
from pathlib import Path

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
