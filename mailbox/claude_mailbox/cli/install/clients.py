"""The clients, their files, and what is put into them. docs/clients.md tells what each can do."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from claude_mailbox.cli.install.edits import Edit, Hooks, JsonEntry, OwnFile, TomlEntry
from claude_mailbox.cli.install.elsewhere import variables
from claude_mailbox.cli.install.entries import (
    claude_hooks,
    handlers_of_copilot,
    hook_command,
    own_command,
    own_program,
    own_server,
    url_option,
)
from claude_mailbox.cli.install.flat_hooks import FlatHooks
from claude_mailbox.cli.install.places import in_app_data, in_config, in_home
from claude_mailbox.cli.install.plugins import amp, opencode
from claude_mailbox.cli.install.plugins.filling import PLUGIN_MARK, fill
from claude_mailbox.cli.install.yaml_entry import YamlEntry
from claude_mailbox.cli.program import hook_program
from claude_mailbox.client.settings.handlers import handlers_by_event
from claude_mailbox.client.settings.patch import MARK

SERVER = "mailbox"

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


def _claude_code() -> Edits:
    settings = in_home("settings.json", variable="CLAUDE_CONFIG_DIR", default=[".claude"])
    state = in_home(".claude.json", variable="CLAUDE_CONFIG_DIR")
    return [
        (settings, Hooks(handlers_by_event(hook_program(), MARK))),
        (state, JsonEntry(["mcpServers", SERVER], own_server("claude-code", type="stdio"))),
    ]


def _codex() -> Edits:
    folder = in_home(variable="CODEX_HOME", default=[".codex"])
    events = {
        "SessionStart": "start",
        "UserPromptSubmit": "prompt",
        "PostToolUse": "tool",
        "Stop": "stop",
    }
    # Codex gives its servers no other variables than those that it is told.
    names = ["CLAUDE_MAILBOX_HOME", "CLAUDE_MAILBOX_URL", "CLAUDE_MAILBOX_TOKEN"]
    server = own_server("codex", env_vars=names)
    return [
        (os.path.join(folder, "config.toml"), TomlEntry(["mcp_servers", SERVER], server)),
        (os.path.join(folder, "hooks.json"), claude_hooks("codex", events, 20)),
    ]


def _gemini() -> Edits:
    settings = in_home(".gemini", "settings.json", variable="GEMINI_CLI_HOME")
    events = {
        "SessionStart": "start",
        "BeforeAgent": "prompt",
        "AfterTool": "tool",
        "AfterAgent": "stop",
        "SessionEnd": "end",
    }
    return [
        (settings, claude_hooks("gemini", events, 20_000)),
        (settings, JsonEntry(["mcpServers", SERVER], own_server("gemini"))),
    ]


def _qwen() -> Edits:
    settings = in_home(".qwen", "settings.json")
    # What its SessionStart hook says does not reach the model: the first prompt introduces.
    events = {
        "SessionStart": "start",
        "UserPromptSubmit": "prompt",
        "PostToolUse": "tool",
        "Stop": "stop",
        "SessionEnd": "end",
    }
    return [
        (settings, claude_hooks("qwen", events, 20_000)),
        (settings, JsonEntry(["mcpServers", SERVER], own_server("qwen"))),
    ]


# VS Code runs what lies in the folder of Copilot CLI's hooks, too. So each of the two has a file there,
# and leaves the other's alone.
def _copilot() -> Edits:
    events = {
        "sessionStart": "start",
        "userPromptSubmitted": "prompt",
        "postToolUse": "tool",
        "agentStop": "stop",
        "sessionEnd": "end",
    }
    folder = in_home(variable="COPILOT_HOME", default=[".copilot"])
    entry = JsonEntry(["mcpServers", SERVER], own_server("copilot", type="local", tools=["*"]))
    hooks = _hook_file("copilot", handlers_of_copilot("copilot", events))
    return [
        (os.path.join(folder, "mcp-config.json"), entry),
        (os.path.join(folder, "hooks", "claude-mailbox.json"), hooks),
    ]


def _vscode() -> Edits:
    parts = ["Code", "User", "mcp.json"]
    path = in_app_data(["Library", "Application Support", *parts], parts, parts)
    server = own_server("vscode", is_session=False, type="stdio")
    events = {
        "sessionStart": "start",
        "userPromptSubmitted": "prompt",
        "postToolUse": "tool",
        "agentStop": "stop",
    }
    return [
        (path, JsonEntry(["servers", SERVER], server)),
        (
            in_home(".copilot", "hooks", "claude-mailbox-vscode.json"),
            _hook_file("vscode", handlers_of_copilot("vscode", events)),
        ),
    ]


def _hook_file(client: str, hooks: dict[str, object]) -> OwnFile:
    content = json.dumps({"version": 1, "hooks": hooks}, indent=2) + "\n"
    return OwnFile(content, f"client-hook --client {client}")


def _cursor() -> Edits:
    events = {
        "sessionStart": "start",
        "beforeSubmitPrompt": "prompt",
        "postToolUse": "tool",
        "stop": "stop",
        "sessionEnd": "end",
    }
    # It runs them by PowerShell on Windows.
    call = "& " if sys.platform == "win32" else ""
    handlers: dict[str, dict[str, object]] = {
        event: {"command": f"{call}{hook_command('cursor', moment)}{MARK}", "timeout": 20}
        for event, moment in events.items()
    }
    # Our hook makes a turn go on once for a message, so no limit is needed.
    handlers["stop"]["loop_limit"] = None
    server = own_server("cursor", is_session=False)
    return [
        (in_home(".cursor", "mcp.json"), JsonEntry(["mcpServers", SERVER], server)),
        (in_home(".cursor", "hooks.json"), FlatHooks(handlers)),
    ]


def _opencode() -> Edits:
    folder = in_config("opencode")
    name = next(
        (
            name
            for name in ("opencode.jsonc", "opencode.json")
            if os.path.exists(os.path.join(folder, name))
        ),
        "opencode.json",
    )
    server: dict[str, object] = {"type": "local", "command": own_command(), "enabled": True}
    if url_option() and (environment := variables("opencode")):
        server["environment"] = environment
    text = fill(opencode.PLUGIN, own_program(), url_option())
    return [
        (os.path.join(folder, name), JsonEntry(["mcp", SERVER], server)),
        (os.path.join(folder, "plugin", "claude-mailbox.js"), OwnFile(text, PLUGIN_MARK)),
    ]


def _json_only(
    client: str, path: Callable[[], str], key: str, **more: object
) -> Callable[[], Edits]:
    return lambda: [(path(), JsonEntry([key, SERVER], {**more, **own_server(client)}))]


def _goose() -> Edits:
    server = own_server("goose")
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
    path = in_app_data([".config", *parts], parts, ["Block", "goose", "config", "config.yaml"])
    events = {
        "SessionStart": "start",
        "UserPromptSubmit": "prompt",
        "Stop": "stop",
        "SessionEnd": "end",
    }
    hooks: dict[str, object] = {}
    for event, moment in events.items():
        command = hook_command("goose", moment)
        hooks[event] = [{"hooks": [{"type": "command", "command": command, "timeout": 20}]}]
    about = {"name": "claude-mailbox", "version": "1.0.0", "description": "Mail between agents"}
    folder = in_home(".agents", "plugins", "claude-mailbox")
    return [
        (path, YamlEntry("extensions", SERVER, lines)),
        (os.path.join(folder, "hooks", "hooks.json"), _hook_file("goose", hooks)),
        (
            os.path.join(folder, "plugin.json"),
            OwnFile(json.dumps(about, indent=2) + "\n", '"claude-mailbox"'),
        ),
    ]


def _amp() -> Edits:
    server = own_server("amp", is_session=False)
    text = fill(amp.PLUGIN, own_program(), url_option())
    return [
        (in_config("amp", "settings.json"), JsonEntry(["amp.mcpServers", SERVER], server)),
        (
            in_config("amp", "plugins", "claude-mailbox.ts"),
            OwnFile(text, PLUGIN_MARK),
        ),
    ]


CLIENTS = {
    "claude-code": Client("Claude Code", _claude_code, "New sessions use it."),
    "codex": Client("Codex", _codex, "Start it anew; it asks once whether it may run these hooks."),
    "gemini": Client("Gemini CLI", _gemini),
    "opencode": Client("OpenCode", _opencode),
    "cursor": Client("Cursor", _cursor),
    "vscode": Client("VS Code", _vscode),
    "copilot": Client("Copilot CLI", _copilot),
    "windsurf": Client(
        "Windsurf",
        _json_only(
            "windsurf", lambda: in_home(".codeium", "windsurf", "mcp_config.json"), "mcpServers"
        ),
    ),
    "zed": Client(
        "Zed",
        _json_only(
            "zed",
            lambda: in_app_data(
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
    "amp": Client("Amp", _amp, "Start it anew, or reload its plugins."),
}
