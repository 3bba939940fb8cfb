"""``mcp-stdio``: an MCP server on standard input and output that forwards to the daemon."""
