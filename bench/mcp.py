"""MCP requests as today's clients send them: stateless, protocol version 2026-07-28."""

from collections.abc import Mapping

from bench.http1 import build

_VERSION = "2026-07-28"
_PREFIX = "io.modelcontextprotocol/"
_META = {
    f"{_PREFIX}protocolVersion": _VERSION,
    f"{_PREFIX}clientInfo": {"name": "bench", "version": "1"},
    f"{_PREFIX}clientCapabilities": {},
}


def list_tools() -> bytes:
    """Return a request for the tools that there are."""
    return _request("tools/list", {})


def call_tool(tool: str, arguments: Mapping[str, str]) -> bytes:
    """Return a request that calls a tool."""
    return _request("tools/call", {"name": tool, "arguments": arguments}, f"Mcp-Name: {tool}")


def _request(method: str, params: Mapping[str, object], *headers: str) -> bytes:
    content = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": _META}}
    lines = (
        "Accept: application/json, text/event-stream",
        f"MCP-Protocol-Version: {_VERSION}",
        f"Mcp-Method: {method}",
        *headers,
    )
    return build("POST", "/mcp", content=content, headers=lines)
