"""``mcp-config``: what to write into a client's configuration so that it has our tools."""

import json
import sys

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client import output
from claude_mailbox.client.reach import address
from claude_mailbox.model import check_name

_SERVER = "mailbox"
_PROGRAM = "claude-mailbox"

# Client -> the file that its configuration is in.
FILES = {
    "claude-code": ".mcp.json in the project, or: claude mcp add-json",
    "codex": "~/.codex/config.toml",
    "gemini": "~/.gemini/settings.json, or .gemini/settings.json in the project",
    "cursor": "~/.cursor/mcp.json, or .cursor/mcp.json in the project",
    "vscode": ".vscode/mcp.json in the project",
    "opencode": "~/.config/opencode/opencode.json, or opencode.json in the project",
}


@click.command("mcp-config")
@click.argument("client", type=click.Choice(list(FILES)))
@options.mailbox(
    "--name", "name", "The client's mailbox, so that calls need not say it.", required=False
)
@click.option("--stdio", is_flag=True, help="Over standard input and output instead of HTTP.")
@options.url
def mcp_config(client: str, name: str | None, stdio: bool, url: str | None) -> int:
    """Print the configuration with which CLIENT gets the mailbox's tools.

    The file that it belongs into is named on standard error. Where that file has other servers,
    add this one to them.

    \b
    Examples:
      claude-mailbox mcp-config codex --name codex-backend
      claude-mailbox mcp-config cursor --stdio
    """
    if name is not None:
        name = check_name(name, "--name")
    place = _place(url)
    # Clients speak HTTP to TCP only; on standard input we find the socket ourselves.
    is_stdio = stdio or place is None
    server = _stdio(name, url) if is_stdio else _http(name, str(place))
    output.write(render(client, server) + "\n")
    sys.stderr.write(f"For {FILES[client]}\n")
    return 0


def render(client: str, server: dict[str, object]) -> str:
    """Return the configuration in the client's form.

    Args:
        client: one of `FILES`.
        server: ``url`` and perhaps ``headers``, or ``command`` and ``args``.
    """
    is_stdio = "command" in server
    if client == "codex":
        return _toml(server)
    if client == "opencode":
        if is_stdio:
            server = {"type": "local", "command": [server["command"], *_arguments(server)]}
        else:
            server = {"type": "remote", **server}
        return _json({"mcp": {"servers": {_SERVER: server}}})
    if client == "vscode":
        server = {"type": "stdio" if is_stdio else "http", **server}
        return _json({"servers": {_SERVER: server}})
    if client == "gemini" and not is_stdio:
        server = {("httpUrl" if key == "url" else key): value for key, value in server.items()}
    if client == "claude-code" and not is_stdio:
        server = {"type": "http", **server}
        # Without a mailbox of its own, each session gets one by its hooks.
        if "headers" not in server:
            server["headersHelper"] = f"{_PROGRAM} client-headers"
    return _json({"mcpServers": {_SERVER: server}})


def _place(url: str | None) -> address.Address | None:
    """Return the daemon's TCP address, or None when it has none that is known."""
    place = address.given(url) or address.configured_tcp()
    return place if place.path is None and place.port else None


def _http(name: str | None, place: str) -> dict[str, object]:
    server: dict[str, object] = {"url": f"{place}/mcp"}
    if name is not None:
        server["headers"] = {"X-Mailbox": name}
    return server


def _stdio(name: str | None, url: str | None) -> dict[str, object]:
    arguments = ["mcp-stdio"]
    if name is not None:
        arguments += ["--name", name]
    if url is not None:
        arguments += ["--url", url]
    return {"command": _PROGRAM, "args": arguments}


def _arguments(server: dict[str, object]) -> list[object]:
    arguments = server["args"]
    return list(arguments) if isinstance(arguments, list) else []


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _toml(server: dict[str, object]) -> str:
    """Return the table; JSON's strings and lists of them are TOML's too."""
    lines = [f"[mcp_servers.{_SERVER}]"]
    for key, value in server.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{json.dumps(k)} = {_toml_text(v)}" for k, v in value.items())
            lines.append(f"http_headers = {{ {inner} }}")
        else:
            lines.append(f"{key} = {_toml_text(value)}")
    return "\n".join(lines)


def _toml_text(value: object) -> str:
    # TOML has no \/ and wants DEL escaped; neither can be in a name or a URL of ours.
    return json.dumps(value, ensure_ascii=False)
