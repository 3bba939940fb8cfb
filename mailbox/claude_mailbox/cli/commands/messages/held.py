"""The command about messages that are held for the user."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client.mail import held as holding


@click.command()
@click.argument("action", type=click.Choice(["list", "release"]))
@options.mailbox(
    "--name", "name", "With release: only what that mailbox sent and is to get.", required=False
)
@options.url
@options.as_json
def held(action: str, name: str | None, url: str | None, as_json: bool) -> int:
    """List messages that are held, or release them.

    When two sessions write to each other again and again without a prompt of yours, their messages
    are stored and not delivered. A prompt in either session releases them, and so does this.

    \b
    Examples:
      claude-mailbox held list
      claude-mailbox held release --name backend-a3f91b2c
    """
    if action == "release":
        return holding.release(name=name, url=url, as_json=as_json)
    if name is not None:
        raise click.UsageError("'--name' goes with 'release' only.")
    return holding.list_held(url=url, as_json=as_json)
