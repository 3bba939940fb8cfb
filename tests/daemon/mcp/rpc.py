"""MCP as it is on the wire, without an SDK between."""

import json
from typing import Any

from wire.connection import Connection, Reply

HANDSHAKE = "2025-11-25"
MODERN = "2026-07-28"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Rpc(Connection):
    """A connection to ``/mcp``."""

    def begin(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        era: str = HANDSHAKE,
        number: object = 1,
        client: str | None = None,
        tool_use_id: object = None,
        **headers: str | bytes,
    ) -> None:
        """Send a request, or with a *number* of None a notification, and do not wait.

        A *client* is told as the era has it, a *tool_use_id* as Claude Code does. Further *headers*
        have underscores for dashes.
        """
        params = dict(params or {})
        lines: dict[str, str | bytes] = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": era,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        meta: dict[str, Any] = {}
        if tool_use_id is not None:
            meta["claudecode/toolUseId"] = tool_use_id
        if client is not None and era == HANDSHAKE:
            lines["User-Agent"] = f"{client}/1.2.3 (cli)"
        if era == MODERN:
            meta |= META
            if client is not None:
                info = {"name": client, "version": "1.2.3"}
                meta["io.modelcontextprotocol/clientInfo"] = info
            lines["Mcp-Method"] = method
            if "name" in params:
                lines["Mcp-Name"] = str(params["name"])
        if meta:
            params["_meta"] = meta
        content: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            content["id"] = number
        self.start("POST", "/mcp", content=content, headers=lines)

    def ask(self, method: str, params: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a request and return its result."""
        self.begin(method, params, **options)
        return self.result()

    def result(self) -> Any:
        """Return the result that comes."""
        content = self.message().json()
        assert "result" in content, content
        return content["result"]

    def message(self) -> Reply:
        """Return the response that comes, which must have no session."""
        reply = self.read()
        assert "mcp-session-id" not in reply.headers
        return reply

    def begin_call(self, tool: str, arguments: dict[str, Any], **options: Any) -> None:
        """Call a tool and do not wait."""
        self.begin("tools/call", {"name": tool, "arguments": arguments}, **options)

    def call(self, tool: str, arguments: dict[str, Any], **options: Any) -> Any:
        """Call a tool and return its structured content, after a look at the text beside it."""
        self.begin_call(tool, arguments, **options)
        return self.answer()

    def answer(self) -> Any:
        """Return the structured content of the result that comes."""
        result = self.result()
        assert not result.get("isError"), result
        (block,) = result["content"]
        assert json.loads(block["text"]) == result["structuredContent"]
        return result["structuredContent"]

    def refuse(self, tool: str, arguments: dict[str, Any], **options: Any) -> str:
        """Call a tool that is to fail, and return the sentence."""
        self.begin_call(tool, arguments, **options)
        result = self.result()
        assert result["isError"] is True
        assert result.get("structuredContent") is None
        (block,) = result["content"]
        assert isinstance(block["text"], str)
        return block["text"]
