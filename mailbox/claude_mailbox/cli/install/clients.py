"""The clients, their files, and what is put into them. docs/clients.md tells what each can do."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from claude_mailbox.cli.install.edits import Edit, Hooks, JsonEntry, OwnFile, TomlEntry
from claude_mailbox.cli.install.elsewhere import address_elsewhere, variables
from claude_mailbox.cli.install.opencode import PLUGIN_MARK, plugin
from claude_mailbox.cli.install.yaml_entry import YamlEntry
from claude_mailbox.cli.program import hook_program
from claude_mailbox.client.settings.handlers import Handler, handlers_by_event
from claude_mailbox.client.settings.patch import MARK

SERVER = "mailbox"
_PROGRAM = "claude-mailbox"
_ARGUMENTS = ["mcp-stdio", "--session"]

Edits = list[tuple[str, Edit]]


@dataclass(frozen=True)
class Client:
    """A client that `install` knows.

    Attributes:
        title: its name.
        edits: returns what is put into which of its files.
        note: what its user has to do or know.
    """

    title: str
    edits: Callable[[], Edits]
    note: str = "Start it anew."


def _program() -> list[str]:
    """Return our command; clients with windows have another PATH."""
    found = shutil.which(_PROGRAM)
    return [found] if found else [sys.executable, "-E", "-P", "-m", "claude_mailbox"]


def _url() -> list[str]:
    """Return the option for a daemon on another machine."""
    address = address_elsewhere()
    return [] if address is None else ["--url", str(address)]


def _server(client: str, **more: object) -> dict[str, object]:
    """Return the entry of our MCP server in the form that most clients have."""
    program, *arguments = [*_program(), *_ARGUMENTS, *_url()]
    server: dict[str, object] = {**more, "command": program, "args": arguments}
    found = variables(client) if _url() else {}
    return {**server, "env": found} if found else server


def _hook(client: str, moment: str) -> str:
    """Return the command of a hook."""
    command = f"{hook_program()} client-hook --client {client} --moment {moment}"
    return " ".join([command, *map(shlex.quote, _url())])


def _hooks(client: str, events: dict[str, str], timeout: int) -> Hooks:
    """Return the hooks of a client whose settings have the form of Claude Code's.

    Args:
        client: how our command calls it.
        events: moment by the client's name of the event.
        timeout: in the client's unit.
    """
    handlers: dict[str, list[Handler]] = {}
    for event, moment in events.items():
        command = f"{_hook(client, moment)}{MARK}"
        handlers[event] = [{"type": "command", "command": command, "timeout": timeout}]
    return Hooks(handlers)


def _home(*parts: str, variable: str | None = None, default: Sequence[str] = ()) -> str:
    """Return a path below the folder that *variable* names, else below *default* in the home."""
    folder = os.environ.get(variable) if variable else None
    return os.path.join(folder or os.path.join(os.path.expanduser("~"), *default), *parts)


def _config(*parts: str) -> str:
    """Return a path in the user's folder for configuration."""
    return _home(*parts, variable="XDG_CONFIG_HOME", default=[".config"])


def _app_data(mac: Sequence[str], other: Sequence[str], windows: Sequence[str]) -> str:
    """Return a path where programs with windows have their settings."""
    if sys.platform == "win32":
        return _home(*windows, variable="APPDATA", default=["AppData", "Roaming"])
    return _home(*mac) if sys.platform == "darwin" else _config(*other)


def _claude_code() -> Edits:
    settings = _home("settings.json", variable="CLAUDE_CONFIG_DIR", default=[".claude"])
    state = _home(".claude.json", variable="CLAUDE_CONFIG_DIR")
    return [
        (settings, Hooks(handlers_by_event(hook_program(), MARK))),
        (state, JsonEntry(["mcpServers", SERVER], _server("claude-code", type="stdio"))),
    ]


def _codex() -> Edits:
    folder = _home(variable="CODEX_HOME", default=[".codex"])
    events = {
        "SessionStart": "start",
        "UserPromptSubmit": "prompt",
        "PostToolUse": "tool",
        "Stop": "stop",
    }
    # Codex gives its servers no other variables than those that it is told.
    names = ["CLAUDE_MAILBOX_HOME", "CLAUDE_MAILBOX_URL", "CLAUDE_MAILBOX_TOKEN"]
    server = _server("codex", env_vars=names)
    return [
        (os.path.join(folder, "config.toml"), TomlEntry(["mcp_servers", SERVER], server)),
        (os.path.join(folder, "hooks.json"), _hooks("codex", events, 20)),
    ]


def _gemini() -> Edits:
    settings = _home(".gemini", "settings.json", variable="GEMINI_CLI_HOME")
    events = {
        "SessionStart": "start",
        "BeforeAgent": "prompt",
        "AfterTool": "tool",
        "AfterAgent": "stop",
        "SessionEnd": "end",
    }
    return [
        (settings, _hooks("gemini", events, 20_000)),
        (settings, JsonEntry(["mcpServers", SERVER], _server("gemini"))),
    ]


def _qwen() -> Edits:
    settings = _home(".qwen", "settings.json")
    # What its SessionStart hook says does not reach the model: the first prompt introduces.
    events = {
        "UserPromptSubmit": "prompt",
        "PostToolUse": "tool",
        "Stop": "stop",
        "SessionEnd": "end",
    }
    return [
        (settings, _hooks("qwen", events, 20_000)),
        (settings, JsonEntry(["mcpServers", SERVER], _server("qwen"))),
    ]


def _copilot() -> Edits:
    folder = _home(variable="COPILOT_HOME", default=[".copilot"])
    events = {
        "sessionStart": "start",
        "userPromptSubmitted": "prompt",
        "postToolUse": "tool",
        "agentStop": "stop",
        "sessionEnd": "end",
    }
    hooks: dict[str, object] = {}
    for event, moment in events.items():
        command = _hook("copilot", moment)
        hooks[event] = [
            {"type": "command", "bash": command, "powershell": command, "timeoutSec": 20}
        ]
    content = json.dumps({"version": 1, "hooks": hooks}, indent=2) + "\n"
    own = OwnFile(content, "client-hook --client copilot")
    return [
        (
            os.path.join(folder, "mcp-config.json"),
            JsonEntry(["mcpServers", SERVER], _server("copilot", type="local", tools=["*"])),
        ),
        (os.path.join(folder, "hooks", "claude-mailbox.json"), own),
    ]


def _opencode() -> Edits:
    folder = _config("opencode")
    name = next(
        (
            name
            for name in ("opencode.jsonc", "opencode.json")
            if os.path.exists(os.path.join(folder, name))
        ),
        "opencode.json",
    )
    command = [*_program(), *_ARGUMENTS, *_url()]
    server: dict[str, object] = {"type": "local", "command": command, "enabled": True}
    if _url() and (environment := variables("opencode")):
        server["environment"] = environment
    text = plugin(_program(), _url())
    return [
        (os.path.join(folder, name), JsonEntry(["mcp", SERVER], server)),
        (os.path.join(folder, "plugin", "claude-mailbox.js"), OwnFile(text, PLUGIN_MARK)),
    ]


def _json_only(
    client: str, path: Callable[[], str], *keys: str, **more: object
) -> Callable[[], Edits]:
    return lambda: [(path(), JsonEntry([*keys, SERVER], _server(client, **more)))]


def _goose() -> Edits:
    server = _server("goose")
    lines = [
        "type: stdio",
        f"name: {SERVER}",
        "description: Mail between agent sessions",
        "enabled: true",
        f"cmd: {json.dumps(server['command'])}",
        f"args: {json.dumps(server['args'])}",
        f"envs: {json.dumps(server.get('env', {}))}",
        "timeout: 300",
    ]
    parts = ["goose", "config.yaml"]
    path = _app_data([".config", *parts], parts, ["Block", "goose", "config", "config.yaml"])
    return [(path, YamlEntry("extensions", SERVER, lines))]


CLIENTS = {
    "claude-code": Client("Claude Code", _claude_code, "New sessions use it."),
    "codex": Client("Codex", _codex, "Start it anew; it asks once whether it may run these hooks."),
    "gemini": Client("Gemini CLI", _gemini),
    "opencode": Client("OpenCode", _opencode),
    "cursor": Client(
        "Cursor", _json_only("cursor", lambda: _home(".cursor", "mcp.json"), "mcpServers")
    ),
    "vscode": Client(
        "VS Code",
        _json_only(
            "vscode",
            lambda: _app_data(
                ["Library", "Application Support", "Code", "User", "mcp.json"],
                ["Code", "User", "mcp.json"],
                ["Code", "User", "mcp.json"],
            ),
            "servers",
            type="stdio",
        ),
    ),
    "copilot": Client("Copilot CLI", _copilot),
    "windsurf": Client(
        "Windsurf",
        _json_only(
            "windsurf", lambda: _home(".codeium", "windsurf", "mcp_config.json"), "mcpServers"
        ),
    ),
    "zed": Client(
        "Zed",
        _json_only(
            "zed",
            lambda: _app_data(
                [".config", "zed", "settings.json"],
                ["zed", "settings.json"],
                ["Zed", "settings.json"],
            ),
            "context_servers",
            source="custom",
        ),
    ),
    "qwen": Client("Qwen Code", _qwen),
    "goose": Client("Goose", _goose),
    "amp": Client(
        "Amp", _json_only("amp", lambda: _config("amp", "settings.json"), "amp.mcpServers")
    ),
}
