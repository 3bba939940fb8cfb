"""``install`` and ``uninstall``: our MCP entry and hooks in the files of a client."""

import difflib

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.cli.install.changes import Change, plan_install, plan_uninstall
from claude_mailbox.cli.install.clients import CLIENTS
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output

_CLIENT = click.argument("client", type=click.Choice(list(CLIENTS)))
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show what would change, and change nothing."
)


@click.command()
@_CLIENT
@_DRY_RUN
@options.as_json
def install(client: str, dry_run: bool, as_json: bool) -> int:
    """Give CLIENT the tools of the mailbox and, where it has hooks, mail before each prompt.

    Everything else in its files stays as it is, and a copy of each is kept until uninstall. It can
    be run again, and then changes only what is different.

    \b
    Examples:
      claude-mailbox install codex
      claude-mailbox install zed --dry-run
    """
    changes = plan_install(CLIENTS[client].edits())
    return _apply(client, changes, dry_run=dry_run, as_json=as_json, note=CLIENTS[client].note)


@click.command()
@_CLIENT
@_DRY_RUN
@options.as_json
def uninstall(client: str, dry_run: bool, as_json: bool) -> int:
    """Take out of the files of CLIENT what install has put there, and nothing else.

    \b
    Example:
      claude-mailbox uninstall codex
    """
    changes = plan_uninstall(CLIENTS[client].edits())
    return _apply(client, changes, dry_run=dry_run, as_json=as_json, note="")


def _apply(client: str, changes: list[Change], *, dry_run: bool, as_json: bool, note: str) -> int:
    different = [change for change in changes if change.new != change.old]
    if not dry_run:
        for change in different:
            change.make()
    if as_json:
        files = [{"path": each.path, "changed": each in different} for each in changes]
        output.write(codec.encode({"client": client, "dryRun": dry_run, "files": files}) + "\n")
    elif not different:
        output.write(f"Nothing to change for {CLIENTS[client].title}.\n")
    elif dry_run:
        output.write("".join(map(_diff, different)))
    else:
        lines = [f"{_verb(change)} {change.path}\n" for change in different]
        output.write("".join(lines) + (f"{note}\n" if note else ""))
    return 0


def _verb(change: Change) -> str:
    if change.new is None:
        return "Deleted"
    return "Made" if change.old is None else "Changed"


def _diff(change: Change) -> str:
    old = (change.old or "").splitlines(keepends=True)
    new = (change.new or "").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, change.path, change.path)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
