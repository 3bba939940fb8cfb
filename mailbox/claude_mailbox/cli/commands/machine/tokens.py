"""``token``: make, list and revoke the tokens of clients on other machines."""

import sys

import rich_click as click

from claude_mailbox import paths
from claude_mailbox.cli import options
from claude_mailbox.client import codec, times
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.http1 import quote
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.text import visible


@click.group()
def token() -> None:
    """Make, list and revoke the tokens of clients on other machines.

    Tokens belong to the daemon of this home folder, which has to run.

    \b
    Examples:
      claude-mailbox token create --mailbox 'web-*' --days 30
      claude-mailbox token list
      claude-mailbox token revoke 3f2a9c1b7d04
    """


@token.command()
@click.option(
    "--mailbox",
    "mailboxes",
    multiple=True,
    required=True,
    metavar="PATTERN",
    help="Name of a mailbox that its owner may have; * stands for any text. May be repeated.",
)
@click.option("--days", type=float, metavar="N", help="How long it is good; 90 days by default.")
@options.as_json
def create(mailboxes: tuple[str, ...], days: float | None, as_json: bool) -> int:
    """Make a token and print it, once: nobody can see it again.

    \b
    Example:
      claude-mailbox token create --mailbox 'web-*' > web.token
    """
    body: dict[str, object] = {"mailboxes": list(mailboxes)}
    if days is not None:
        body["days"] = days
    made = _call("POST", body=body)
    if not isinstance(made, dict):
        raise MailboxError("The daemon did not say which token it made: update it.")
    if as_json:
        output.write(codec.encode(made) + "\n")
        return 0
    output.write(f"{made.get('token')}\n")
    sys.stderr.write(
        f"Token {made.get('id')} for {' '.join(mailboxes)}, good until {_day(made)}."
        " Keep it secret.\n"
    )
    return 0


@token.command("list")
@options.as_json
def list_tokens(as_json: bool) -> int:
    """Print the tokens: for which mailboxes, until when, and when last used.

    \b
    Example:
      claude-mailbox token list
    """
    rows = _call("GET")
    if as_json or not isinstance(rows, list):
        output.write(codec.encode(rows) + "\n")
        return 0
    for row in rows:
        used = row.get("lastUsedAt")
        output.write(
            f"{row.get('id')}  {visible(' '.join(row.get('mailboxes', [])))}"
            f"  until {_day(row)}"
            f"  {'never used' if used is None else f'used {times.shown(used)}'}\n"
        )
    return 0


@token.command()
@click.argument("token_id", metavar="ID")
@options.as_json
def revoke(token_id: str, as_json: bool) -> int:
    """Revoke a token, and end what runs with it.

    \b
    Example:
      claude-mailbox token revoke 3f2a9c1b7d04
    """
    revoked = _call("DELETE", query=(f"id={quote(token_id)}",))
    output.write(codec.encode(revoked) + "\n" if as_json else f"Revoked {visible(token_id)}.\n")
    return 0


def _day(fields: dict[str, object]) -> str:
    return str(fields.get("expiresAt"))[:10]


def _call(method: str, *, query: tuple[str, ...] = (), body: object = None) -> object:
    # Whatever CLAUDE_MAILBOX_URL says: no other daemon takes such a request from us.
    with Daemon(f"unix:{paths.socket_path()}") as daemon:
        return daemon.call(method, "/v1/tokens", query=query, body=body).value
