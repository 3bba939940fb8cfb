"""The commands that receive mail, and those about mailboxes."""

import rich_click as click

from claude_mailbox.cli import options, tables
from claude_mailbox.client import codec
from claude_mailbox.client.hooks.check import check_hook
from claude_mailbox.client.mail import commands as mail
from claude_mailbox.client.mail import watch as watching
from claude_mailbox.client.terminal import output


@click.command()
@options.own()
@click.option("--bodies", is_flag=True, help="Print the messages, too.")
@options.url
@options.as_json
def peek(name: str, bodies: bool, url: str | None, as_json: bool) -> int:
    """Print how many messages wait, without taking any.

    \b
    Examples:
      claude-mailbox peek --name backend-a3f91b2c
      claude-mailbox peek --name backend-a3f91b2c --bodies
    """
    return mail.peek(name=name, bodies=bodies, url=url, as_json=as_json)


@click.command()
@options.mailbox(
    "--name",
    "name",
    "The mailbox; else CLAUDE_MAILBOX_NAME. Not needed with --hook.",
    required=False,
    variable=options.NAME_VARIABLE,
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take at most N messages.")
@click.option(
    "--hook",
    is_flag=True,
    help="For hooks: read the hook's JSON from standard input, print mail for the model, and"
    " always exit with 0.",
)
@click.option(
    "--wake",
    is_flag=True,
    help="With --hook, for asyncRewake hooks: write mail to standard error and exit with 2.",
)
@options.url
@options.as_json
def check(
    name: str | None, limit: int | None, hook: bool, wake: bool, url: str | None, as_json: bool
) -> int:
    """Print all waiting messages and take them out of the mailbox.

    A message is taken when it has been printed. If the output breaks, it stays.

    \b
    Examples:
      claude-mailbox check --name backend-a3f91b2c
      claude-mailbox check --name backend-a3f91b2c --limit 10 --json
    """
    if hook:
        if limit is not None or as_json:
            raise click.UsageError("'--hook' goes with '--name', '--wake' and '--url' only.")
        return check_hook(name=name, wake=wake, url=url)
    if wake:
        raise click.UsageError("'--wake' goes with '--hook' only.")
    if name is None:
        raise click.UsageError("Missing option '--name'.")
    return mail.check(name=name, limit=limit, url=url, as_json=as_json)


@click.command()
@options.own()
@click.option("--block", is_flag=True, help="Wait for one message, print it, exit (the default).")
@click.option("--follow", is_flag=True, help="Keep printing messages until you end it.")
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="With --block: how long to wait; 25 by default.",
)
@options.url
@options.as_json
def watch(
    name: str,
    block: bool,
    follow: bool,
    timeout: float | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Wait for mail, and print it as soon as it comes.

    A message is taken when it has been printed. On Ctrl-C, or if the output breaks, it is put back.
    With --follow the command keeps going when the daemon restarts or the mailbox is renamed.

    Exit codes: 0 one message (or renamed), 1 error, 2 daemon unreachable, 3 time-out.

    \b
    Examples:
      claude-mailbox watch --block --name backend-a3f91b2c --timeout 300
      claude-mailbox watch --follow --name backend-a3f91b2c --json | jq -r .body
    """
    return watching.watch(
        name=name, block=block, follow=follow, timeout=timeout, url=url, as_json=as_json
    )


@click.command()
@options.own("The present name of the mailbox")
@click.option("--to", required=True, metavar="NEW", help="The new name.")
@options.url
@options.as_json
def rename(name: str, to: str, url: str | None, as_json: bool) -> int:
    """Rename a mailbox. Its mail moves along, and mail to the old name is forwarded.

    \b
    Example:
      claude-mailbox rename --name backend-a3f91b2c --to backend-login
    """
    return mail.rename(name=name, to=to, url=url, as_json=as_json)


@click.command()
@options.own()
@options.url
@options.as_json
def delete(name: str, url: str | None, as_json: bool) -> int:
    """Delete a mailbox. If mail still waits in it, or from it, it stays and the exit code is 1.

    \b
    Example:
      claude-mailbox delete --name backend-a3f91b2c
    """
    return mail.delete(name=name, url=url, as_json=as_json)


@click.command("list")
@options.mailbox("--name", "name", "Your mailbox, to see who has sent you mail.", required=False)
@click.option("--all", "show_all", is_flag=True, help="Also those that have been idle for long.")
@options.url
@options.as_json
def list_mailboxes(name: str | None, show_all: bool, url: str | None, as_json: bool) -> int:
    """List the mailboxes: when each was last seen, and how many messages wait in it.

    Mailboxes that have been idle for long (by default a day) are left out.

    \b
    Examples:
      claude-mailbox list
      claude-mailbox list --json
    """
    rows = mail.mailboxes(name=name, show_all=show_all, url=url)
    if as_json:
        output.write(codec.encode(rows) + "\n")
    else:
        tables.print_mailboxes(rows, with_own=name is not None)
    return 0
