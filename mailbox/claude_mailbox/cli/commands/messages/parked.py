"""The command for messages that were handed out too often."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client import codec
from claude_mailbox.client.mail import conversation
from claude_mailbox.client.mail.history import status_line
from claude_mailbox.client.terminal import output


@click.command()
@click.argument("action", type=click.Choice(["list", "retry", "drop"]), default="list")
@click.argument("numbers", metavar="[ID]...", type=click.IntRange(1, 2**63 - 1), nargs=-1)
@options.mailbox("--name", "name", "With list: only what it sent or got.", required=False)
@options.url
@options.as_json
def parked(
    action: str, numbers: tuple[int, ...], name: str | None, url: str | None, as_json: bool
) -> int:
    """List the messages that were handed out again and again and never confirmed, or end that.

    They have left the line of their mailbox. `retry` lets them wait there again, `drop` deletes
    them.

    \b
    Examples:
      claude-mailbox parked list
      claude-mailbox parked retry 4711
    """
    if action != "list":
        if not numbers:
            raise click.UsageError("Give the numbers of the messages.")
        if name is not None:
            raise click.UsageError("'--name' goes with 'list' only.")
        return conversation.end_parking(action, numbers, url=url, as_json=as_json)
    if numbers:
        raise click.UsageError("'list' takes no numbers.")
    rows = conversation.list_parked(name=name, url=url)
    if as_json:
        output.write(codec.encode(rows) + "\n")
    elif rows:
        output.write("".join([status_line(row) + "\n" for row in rows]))
    elif output.is_terminal():
        output.write("Nothing is parked.\n")
    return 0
