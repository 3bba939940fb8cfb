"""Options that several commands share, and the completion of mailbox names."""

import rich_click as click
from click.shell_completion import CompletionItem

from claude_mailbox.client.mail import commands as mail
from claude_mailbox.errors import MailboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


NAME_VARIABLE = "CLAUDE_MAILBOX_NAME"


def complete_mailbox(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the mailboxes whose names begin with *incomplete*; none if the daemon is down."""
    try:
        rows = mail.mailboxes(url=context.params.get("url"))
    except MailboxError:
        return []
    names = [str(row.get("name")) for row in rows]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def mailbox(
    option: str,
    keyword: str,
    help: str,  # noqa: A002
    *,
    required: bool = True,
    variable: str | None = None,
) -> "Decorator":
    """Return an option that takes the name of a mailbox, else from an environment variable."""
    return click.option(
        option,
        keyword,
        metavar="MAILBOX",
        required=required,
        envvar=variable,
        shell_complete=complete_mailbox,
        help=help,
    )


def own(what: str = "The mailbox", option: str = "--name", keyword: str = "name") -> "Decorator":
    """Return the option for the caller's own mailbox."""
    return mailbox(option, keyword, f"{what}; else {NAME_VARIABLE}.", variable=NAME_VARIABLE)


def own_or_session(what: str, option: str, keyword: str) -> "Decorator":
    """Return the option for the caller's own mailbox, not needed in the shell of a session."""
    text = f"{what}; else {NAME_VARIABLE}, or that of the session whose shell this is."
    return mailbox(option, keyword, text, required=False, variable=NAME_VARIABLE)


def body(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the text of a message: as an option or an argument; without both, standard input."""
    option = click.option("--body", metavar="TEXT", help="The text; - reads standard input.")
    argument = click.argument("text", required=False)
    return argument(option(command))


def one_body(body: str | None, text: str | None) -> str | None:
    """Return the text that was given, or None for that of standard input."""
    if body is not None and text is not None:
        raise click.UsageError("Give the text as an argument or with '--body', not both.")
    return text if body is None else body


def daemon_flags(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the flags that override the configuration; see ``serve.by_config_key``."""
    for option in reversed(_DAEMON_FLAGS):
        command = option(command)
    return command


_DAEMON_FLAGS = (
    click.option("--port", type=int, help="TCP port; by default 37849, 0 for any free one."),
    click.option("--bind", metavar="ADDRESS", help="Address to listen on; by default 127.0.0.1."),
    click.option(
        "--tls-cert",
        metavar="FILE",
        help="Certificate (PEM) for clients on other machines; goes with --tls-key.",
    ),
    click.option("--tls-key", metavar="FILE", help="The key of the certificate (PEM)."),
    click.option(
        "--log-format", metavar="FORMAT", help="How the daemon logs: text (the default) or json."
    ),
    click.option(
        "--db-path",
        metavar="PATH",
        help="The SQLite file; by default mailbox.db in the home folder.",
    ),
    click.option(
        "--database",
        "database_url",
        metavar="URL",
        help="A PostgreSQL database to use instead, shared with the daemons of other machines.",
    ),
    click.option(
        "--config",
        "config_path",
        metavar="PATH",
        help="Configuration file to read instead of mailbox.json.",
    ),
    click.option(
        "--hide-after-minutes",
        type=int,
        help="Leave mailboxes that are idle for longer out of lists.",
    ),
    click.option(
        "--delete-after-minutes", type=int, help="Delete empty mailboxes that are idle for longer."
    ),
    click.option(
        "--sweep-interval-minutes", type=int, help="How often to look for mailboxes to delete."
    ),
)


url = click.option(
    "--url",
    metavar="URL",
    help="Address of the daemon: http://HOST:PORT or unix:/PATH. Without it"
    " CLAUDE_MAILBOX_URL, the socket in the home folder, or the configured port.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
