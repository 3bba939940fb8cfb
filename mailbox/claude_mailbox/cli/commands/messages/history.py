"""The commands that look back at mail."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client.mail import history

_NUMBER = click.IntRange(1, 2**63 - 1)


@click.command()
@click.argument("number", metavar="ID", type=_NUMBER)
@options.mailbox(
    "--name",
    "name",
    "The mailbox that sent or got it; else CLAUDE_MAILBOX_NAME.",
    variable=options.NAME_VARIABLE,
)
@click.option(
    "--wait-for",
    type=click.Choice(["delivered", "replied"]),
    help="Wait until that has happened.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="With --wait-for: how long to wait; 25 by default.",
)
@options.url
@options.as_json
def receipt(
    number: int,
    name: str,
    wait_for: str | None,
    timeout: float | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Say what became of a message: whether it waits, was handed out, or is delivered.

    Exit codes: 0 done, 1 error, 2 daemon unreachable, 3 not yet what --wait-for wants.

    \b
    Examples:
      claude-mailbox receipt 4711 --name me
      claude-mailbox receipt 4711 --name me --wait-for delivered --timeout 300
    """
    return history.receipt(
        name=name, number=number, wait_for=wait_for, timeout=timeout, url=url, as_json=as_json
    )


@click.command()
@options.mailbox(
    "--name", "name", "The mailbox; else CLAUDE_MAILBOX_NAME.", variable=options.NAME_VARIABLE
)
@options.mailbox("--with", "peer", "Only what it exchanged with that mailbox.", required=False)
@click.option("--thread", type=_NUMBER, metavar="ID", help="Only messages of this thread.")
@click.option(
    "--search",
    metavar="WORDS",
    help='Only messages with all of these words; "words in quotes" stand together.',
)
@click.option(
    "--since", metavar="AGE", help="Only messages sent since then: 30m, 2h, 3d, or a time."
)
@click.option("--follow", is_flag=True, help="Go on with new messages until you end it.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=history.DEFAULT_LIMIT,
    metavar="N",
    help=f"The newest N messages; {history.DEFAULT_LIMIT} by default.",
)
@options.url
@options.as_json
def log(
    name: str,
    peer: str | None,
    thread: int | None,
    search: str | None,
    since: str | None,
    follow: bool,
    limit: int,
    url: str | None,
    as_json: bool,
) -> int:
    """Print what a mailbox sent and got, oldest first. Takes no mail.

    \b
    Examples:
      claude-mailbox log --name me --with backend-a3f91b2c --since 2h
      claude-mailbox log --name me --search '"tests are green" backend'
      claude-mailbox log --name me --follow --json | jq -r .body
    """
    return history.log(
        name=name,
        peer=peer,
        thread=thread,
        search=search,
        since=since,
        follow=follow,
        limit=limit,
        url=url,
        as_json=as_json,
    )
