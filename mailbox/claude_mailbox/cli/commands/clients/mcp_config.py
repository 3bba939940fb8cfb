"""``mcp-config``: the entry that gives an MCP client our tools, in each client's own form."""

import json
import sys
from urllib.parse import quote

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.cli.install.elsewhere import AUTHORITY, TOKEN, token_of
from claude_mailbox.client.reach.address import Address, configured_tcp, explicit_address
from claude_mailbox.client.reach.own_daemon import running_tcp
from claude_mailbox.client.terminal import output
from claude_mailbox.model.names import check_name

_SERVER = "mailbox"
_PROGRAM = "claude-mailbox"

# Client -> the file with its configuration.
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
    "--name", "name", "The client's mailbox, so that calls need not name it.", required=False
)
@click.option("--stdio", is_flag=True, help="Use standard input and output instead of HTTP.")
@options.url
def mcp_config(client: str, name: str | None, stdio: bool, url: str | None) -> int:
    """Print the configuration that gives CLIENT the tools of the mailbox.

    Standard error names the file that it belongs in. If the file has other servers already, add
    this one to them.

    \b
    Examples:
      claude-mailbox mcp-config codex --name codex-backend
      claude-mailbox mcp-config cursor --stdio
    """
    if name is not None:
        name = check_name(name, "--name")
    address = _tcp_address(url)
    # Clients speak HTTP over TCP only; mcp-stdio can use the Unix socket.
    is_stdio = stdio or address is None
    server = _stdio(name, url) if is_stdio else _http(name, str(address))
    if address is not None and address.wants_token:
        server |= _with_token(client, server, str(address))
    output.write(render(client, server) + "\n")
    sys.stderr.write(f"For {FILES[client]}\n")
    return 0


def render(client: str, server: dict[str, object]) -> str:
    """Return the configuration in the form of one client.

    Args:
        client: a key of `FILES`.
        server: ``url`` and perhaps ``headers``, or ``command`` and ``args``.
    """
    is_stdio = "command" in server
    if client == "codex":
        return _toml(server)
    if client == "opencode":
        if is_stdio:
            command = [server["command"], *_arguments(server)]
            more = {"environment": server["env"]} if "env" in server else {}
            server = {"type": "local", "command": command, **more}
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
        # Without a given mailbox, each session has its own.
        if "headers" not in server:
            server["headersHelper"] = f"{_PROGRAM} client-headers"
    return _json({"mcpServers": {_SERVER: server}})


def _tcp_address(url: str | None) -> Address | None:
    """Return the daemon's TCP address, or None if it has none or it is not fixed."""
    address = explicit_address(url) or running_tcp() or configured_tcp()
    return address if address.path is None and address.port else None


def _http(name: str | None, address: str) -> dict[str, object]:
    server: dict[str, object] = {"url": f"{address}/mcp"}
    if name is not None:
        # Not every client can send more than ASCII in a header.
        server["headers"] = {"X-Mailbox": name if name.isascii() else quote(name)}
    return server


def _stdio(name: str | None, url: str | None) -> dict[str, object]:
    arguments = ["mcp-stdio"]
    if name is not None:
        arguments += ["--name", name]
    if url is not None:
        arguments += ["--url", url]
    return {"command": _PROGRAM, "args": arguments}


def _with_token(client: str, server: dict[str, object], address: str) -> dict[str, object]:
    """Return the fields that name the variable with the token, and the address, where needed."""
    token = token_of(client)
    if "command" in server:
        arguments = _arguments(server)
        where = arguments if "--url" in arguments else [*arguments, "--url", address]
        if client == "codex":
            return {"args": where, "env_vars": [TOKEN, AUTHORITY]}
        return {"args": where, "env": {TOKEN: token}}
    headers = server.get("headers")
    if client == "codex":
        return {"bearer_token_env_var": TOKEN}
    if client == "claude-code" and headers is None:
        return {}  # its helper knows the token
    return {"headers": {**(headers if isinstance(headers, dict) else {}), **_bearer(token)}}


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _arguments(server: dict[str, object]) -> list[object]:
    arguments = server["args"]
    return list(arguments) if isinstance(arguments, list) else []


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _toml(server: dict[str, object]) -> str:
    """Return a TOML table; strings and lists of strings are written as in JSON."""
    lines = [f"[mcp_servers.{_SERVER}]"]
    for key, value in server.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{json.dumps(k)} = {_toml_text(v)}" for k, v in value.items())
            lines.append(f"http_headers = {{ {inner} }}")
        else:
            lines.append(f"{key} = {_toml_text(value)}")
    return "\n".join(lines)


def _toml_text(value: object) -> str:
    # JSON and TOML differ in \/ and DEL, which neither names nor URLs of ours have.
    return json.dumps(value, ensure_ascii=False)
