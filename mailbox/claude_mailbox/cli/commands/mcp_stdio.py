"""The MCP server for clients that speak standard input and output only."""

import rich_click as click

from claude_mailbox.cli import options


@click.command("mcp-stdio")
@options.mailbox(
    "--name", "name", "The mailbox of this client, for calls that do not say.", required=False
)
@options.url
def mcp_stdio(name: str | None, url: str | None) -> int:
    """Serve MCP on standard input and output, for clients that cannot speak HTTP.

    It passes everything on to the daemon, and starts that when it does not run.

    \b
    Example, in the configuration of a client:
      {"command": "claude-mailbox", "args": ["mcp-stdio", "--name", "my-mailbox"]}
    """
    from claude_mailbox.client.stdio.proxy import Proxy

    return Proxy(url, name).run()
