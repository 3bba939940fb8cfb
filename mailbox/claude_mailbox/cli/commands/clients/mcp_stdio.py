"""``mcp-stdio``: the MCP server for clients that cannot speak HTTP."""

import rich_click as click

from claude_mailbox.cli import options


@click.command("mcp-stdio")
@options.mailbox(
    "--name", "name", "The mailbox of this client, for calls that do not name one.", required=False
)
@click.option(
    "--session", is_flag=True, help="The mailbox is that of the session that runs this command."
)
@options.url
def mcp_stdio(name: str | None, session: bool, url: str | None) -> int:
    """Serve MCP on standard input and output, for clients that cannot speak HTTP.

    It forwards everything to the daemon, which it starts if need be.

    \b
    Example, in the configuration of a client:
      {"command": "claude-mailbox", "args": ["mcp-stdio", "--name", "my-mailbox"]}
    """
    from claude_mailbox.client.stdio.proxy import Proxy

    if session and name is not None:
        raise click.UsageError("'--session' and '--name' exclude each other: give one of them.")
    return Proxy(url, name, is_session=session).run()
