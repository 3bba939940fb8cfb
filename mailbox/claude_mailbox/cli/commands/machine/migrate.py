"""``migrate``: from SQLite to PostgreSQL."""

import rich_click as click

from claude_mailbox import config
from claude_mailbox.cli import options
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import StartupError


@click.command()
@click.option("--to", "url", required=True, metavar="URL", help="The PostgreSQL database.")
@options.as_json
def migrate(url: str, as_json: bool) -> int:
    """Carry the mail of the stopped daemon over from SQLite to PostgreSQL.

    The copy is compared with its source before it counts; the SQLite file stays as it is. It can
    be repeated, as long as the new database has no other mail.

    \b
    Example:
      claude-mailbox migrate --to postgresql://mailbox@db.example.com/mailbox
    """
    settings = config.load({"databaseUrl": url})
    try:
        from claude_mailbox.daemon import migration
    except ImportError as error:
        raise StartupError(
            f"PostgreSQL needs psycopg ({error}): install claude-mailbox[postgres], with its extra."
        ) from None
    counts = migration.migrate(settings.db_path, settings.database_url)
    if as_json:
        output.write(codec.encode({"from": settings.db_path, "copied": counts}) + "\n")
    else:
        output.write(
            f"Copied {counts['message']} messages and {counts['mailbox']} mailboxes from"
            f" {settings.db_path}, and compared them. Set databaseUrl, and start the daemon.\n"
        )
    return 0
