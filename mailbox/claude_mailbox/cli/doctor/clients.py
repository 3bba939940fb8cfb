"""Checks what MCP clients find: the address that they are configured with, and proxies."""

import os
from urllib.parse import urlsplit

from claude_mailbox.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from claude_mailbox.client import codec
from claude_mailbox.client.reach.address import Address, parse_url
from claude_mailbox.errors import ConfigError
from claude_mailbox.paths import DEFAULT_BIND, DEFAULT_PORT

_VARIABLE = "CLAUDE_MAILBOX_URL"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def client_environment() -> dict[str, str]:
    """Return our variables, with those that Claude Code's user settings add for its sessions."""
    folder = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    try:
        with open(os.path.join(folder, "settings.json"), "rb") as file:
            settings = codec.decode(file.read())
    except (OSError, ValueError):
        settings = {}
    added = settings.get("env") if isinstance(settings, dict) else None
    pairs = added.items() if isinstance(added, dict) else ()
    return {**os.environ, **{key: value for key, value in pairs if isinstance(value, str)}}


def check_clients(address: Address | None, environment: dict[str, str]) -> Finding:
    """Check that the plugin's MCP server is configured with the daemon's address.

    Claude Code puts ``/mcp`` behind the variable as it is, so it must be exactly an address.
    """
    given = environment.get(_VARIABLE)
    expected = str(address) if address is not None else f"http://{DEFAULT_BIND}:{DEFAULT_PORT}"
    remedy = f"set {_VARIABLE} to {expected}"
    if not given:
        usual = Address(host=DEFAULT_BIND, port=DEFAULT_PORT)
        if address is None or _is_same(address, usual):
            return Finding("Clients", OK, f"the plugin looks for the daemon at {usual}")
        detail = f"Claude Code's plugin looks for the daemon at {usual}, but it is at {address}"
        if environment.get("CLAUDE_PLUGIN_ROOT"):
            return Finding("Clients", PROBLEM, detail, remedy)
        return Finding("Clients", NOTE, f"{detail}; if you use it, {remedy}")
    try:
        parsed = parse_url(given)
    except ConfigError as error:
        return Finding("Clients", PROBLEM, str(error), remedy)
    if parsed.path is not None:
        detail = f"{_VARIABLE} names a Unix socket, which Claude Code's MCP client cannot use"
        if address == parsed:
            return Finding("Clients", NOTE, f"{detail}; commands, hooks and mcp-stdio do")
        return Finding("Clients", PROBLEM, detail, remedy)
    if given != given.strip() or given.endswith("/"):
        detail = f"{_VARIABLE} is '{given}', behind which Claude Code puts /mcp: it must end before"
        return Finding("Clients", PROBLEM, f"{detail} a blank or a slash", remedy)
    if address is not None and not _is_same(address, parsed):
        detail = f"clients are sent to {given} by {_VARIABLE}, the daemon is at {address}"
        return Finding("Clients", PROBLEM, detail, remedy)
    return Finding("Clients", OK, f"{_VARIABLE} sends clients to {given}")


def _is_same(one: Address, other: Address) -> bool:
    def host(address: Address) -> str:
        return "127.0.0.1" if address.host == "localhost" else address.host

    return (host(one), one.port) == (host(other), other.port)


def check_proxy(address: Address | None, environment: dict[str, str]) -> Finding:
    """Check that no proxy stands between clients and the daemon."""
    host = (address.host if address is not None else "") or DEFAULT_BIND
    scheme = "https" if address is not None and address.is_tls else "http"
    # Of two spellings of a variable the lower-case one counts.
    lower = {name.lower(): value for name, value in sorted(environment.items()) if value}
    proxy = lower.get(f"{scheme}_proxy") or lower.get("all_proxy")
    if not proxy:
        return Finding("Proxy", OK, "none is set")
    shown = urlsplit(proxy).hostname or proxy
    exceptions = {name.strip() for name in lower.get("no_proxy", "").split(",")}
    if exceptions & {host, "*"}:
        return Finding("Proxy", OK, f"{shown}, but not for {host}")
    names = _LOOPBACK_NAMES if host in _LOOPBACK_NAMES else (host,)
    detail = f"clients such as Claude Code send requests to {host} through the proxy {shown}"
    return Finding("Proxy", PROBLEM, detail, f"add {','.join(names)} to NO_PROXY")
