"""The commands that send and receive: the options of `claude_mailbox.client`'s verbs."""

import rich_click as click

from claude_mailbox.cli import options, tables
from claude_mailbox.client import codec, output
from claude_mailbox.client.hooks import check as hooks
from claude_mailbox.client.mail import commands as mail
from claude_mailbox.client.mail import watch as watching


@click.command()
@options.mailbox("--from", "sender", "Your own mailbox; answers come to it.")
@options.mailbox("--to", "to", "The mailbox that gets the message; it need not exist yet.")
@click.option("--body", required=True, metavar="TEXT", help="The text; - reads standard input.")
@options.url
@options.as_json
def send(sender: str, to: str, body: str, url: str | None, as_json: bool) -> int:
    """Send a message. When it says so, the message is on disk.

    The answer tells whether anybody reads that mailbox.

    \b
    Examples:
      claude-mailbox send --from me --to backend-a3f91b2c --body "Tests are green."
      git diff | claude-mailbox send --from me --to reviewer --body -
    """
    return mail.send(sender=sender, to=to, body=body, url=url, as_json=as_json)


@click.command()
@options.mailbox("--name", "name", "The mailbox.")
@options.url
@options.as_json
def peek(name: str, url: str | None, as_json: bool) -> int:
    """Say how many messages wait, and consume none.

    \b
    Example:
      claude-mailbox peek --name backend-a3f91b2c
    """
    return mail.peek(name=name, url=url, as_json=as_json)


@click.command()
@options.mailbox("--name", "name", "The mailbox; --hook can do without.", required=False)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take at most N messages.")
@click.option(
    "--hook",
    is_flag=True,
    help="For hooks: the session's JSON comes on standard input, mail goes out framed for the"
    " model, and the exit code is always 0.",
)
@click.option(
    "--wake",
    is_flag=True,
    help="With --hook, for asyncRewake hooks: mail goes to standard error with exit code 2.",
)
@options.url
@options.as_json
def check(
    name: str | None, limit: int | None, hook: bool, wake: bool, url: str | None, as_json: bool
) -> int:
    """Print all that waits and take it out of the mailbox.

    A message is taken once it is printed. When the output breaks, it stays.

    \b
    Examples:
      claude-mailbox check --name backend-a3f91b2c
      claude-mailbox check --name backend-a3f91b2c --limit 10 --json
    """
    if hook:
        if limit is not None or as_json:
            raise click.UsageError("'--hook' goes with '--name', '--wake' and '--url' only.")
        return hooks.check_hook(name=name, wake=wake, url=url)
    if wake:
        raise click.UsageError("'--wake' goes with '--hook' only.")
    if name is None:
        raise click.UsageError("Missing option '--name'.")
    return mail.check(name=name, limit=limit, url=url, as_json=as_json)


@click.command()
@options.mailbox("--name", "name", "The mailbox.")
@click.option("--block", is_flag=True, help="Wait for one message, print it, exit. The default.")
@click.option("--follow", is_flag=True, help="Keep printing until you end it.")
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="With --block: how long to wait; 25 if not given.",
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
    """Wait for mail, and react the moment that it comes.

    A message is taken once it is printed. Ctrl-C, or an output that breaks, puts it back.
    With --follow it comes through restarts of the daemon and renames of the mailbox.

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
@options.mailbox("--name", "name", "The mailbox as it is called now.")
@click.option("--to", required=True, metavar="NEW", help="The name that it gets.")
@options.url
@options.as_json
def rename(name: str, to: str, url: str | None, as_json: bool) -> int:
    """Give a mailbox another name. Its mail moves along, and mail to the old name is forwarded.

    \b
    Example:
      claude-mailbox rename --name backend-a3f91b2c --to backend-login
    """
    return mail.rename(name=name, to=to, url=url, as_json=as_json)


@click.command("list")
@options.mailbox("--name", "name", "Your mailbox, to see who has sent you mail.", required=False)
@options.url
@options.as_json
def list_mailboxes(name: str | None, url: str | None, as_json: bool) -> int:
    """List the mailboxes: when each was last seen, and what waits in it.

    Mailboxes that have been idle for long (a day, if not configured) are left out.

    \b
    Examples:
      claude-mailbox list
      claude-mailbox list --json
    """
    rows = mail.mailboxes(name=name, url=url)
    if as_json:
        output.write(codec.encode(rows) + "\n")
    else:
        tables.print_mailboxes(rows, with_own=name is not None)
    return 0
