"""The commands of copies."""

import os

import rich_click as click

from claude_mailbox import config
from claude_mailbox.cli import options
from claude_mailbox.cli.copies import database
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import MailboxError

_FILE = click.argument("file", type=click.Path(dir_okay=False))


@click.command()
@_FILE
@options.as_json
def backup(file: str, as_json: bool) -> int:
    """Copy the database as it is now, while the daemon works, and check the copy.

    \b
    Example:
      claude-mailbox backup ~/mail-backup.db
    """
    target = os.path.abspath(file)
    database.copy(database.database_path(), target)
    size = os.path.getsize(target)
    _tell({"file": target, "bytes": size}, f"Copied and checked: {target}", as_json=as_json)
    return 0


@click.command()
@_FILE
@options.as_json
def restore(file: str, as_json: bool) -> int:
    """Put a backup in the place of the database, which is kept beside it. Stop the daemon before.

    \b
    Example:
      claude-mailbox stop
      claude-mailbox restore ~/mail-backup.db
      claude-mailbox start
    """
    from claude_mailbox.daemon.process.lock import DatabaseLock

    path = config.load().db_path
    lock = DatabaseLock(path)
    try:
        kept = database.put_back(os.path.abspath(file), path)
    finally:
        lock.close()
    before = f" The old one is {kept}." if kept else ""
    _tell({"file": path, "before": kept}, f"Restored to {path}.{before}", as_json=as_json)
    return 0


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "mbox"]),
    default="jsonl",
    help="JSON lines, which 'import' reads, or mbox, which mail readers open.",
)
@_FILE
@options.as_json
def export(form: str, file: str, as_json: bool) -> int:
    """Write all messages into a file, also while the daemon works.

    \b
    Examples:
      claude-mailbox export mail.jsonl
      claude-mailbox export --format mbox mail.mbox
    """
    from claude_mailbox.cli.copies.messages import write_jsonl, write_mbox

    source, target = database.database_path(), os.path.abspath(file)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise MailboxError(
            f"Cannot make {target} ({error.strerror}): choose another name."
        ) from None
    with os.fdopen(descriptor, "wb") as stream:
        count = (write_mbox if form == "mbox" else write_jsonl)(source, stream)
    _tell({"file": target, "messages": count}, f"{count} messages in {target}", as_json=as_json)
    return 0


@click.command("import")
@_FILE
@options.as_json
def import_(file: str, as_json: bool) -> int:
    """Read messages that were exported as JSON lines. Stop the daemon before.

    It can be repeated: what already exists is not stored twice.

    \b
    Example:
      claude-mailbox stop
      claude-mailbox import mail.jsonl
      claude-mailbox start
    """
    from claude_mailbox.cli.copies.importing import import_messages

    try:
        with open(file, encoding="utf-8") as stream:
            stored, known = import_messages(iter(stream), config.load().db_path)
    except (OSError, UnicodeDecodeError) as error:
        raise MailboxError(f"Cannot read {file} ({error}).") from None
    _tell(
        {"stored": stored, "known": known},
        f"{stored} messages stored, {known} existed already.",
        as_json=as_json,
    )
    return 0


def _tell(document: dict[str, object], sentence: str, *, as_json: bool) -> None:
    output.write((codec.encode(document) if as_json else sentence) + "\n")
