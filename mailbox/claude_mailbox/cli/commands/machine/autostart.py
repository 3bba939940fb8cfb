"""The commands that let the platform start the daemon at login, and that undo it."""

import sys

import rich_click as click

from claude_mailbox import paths
from claude_mailbox.autostart import Outcome, current, manager
from claude_mailbox.cli import options, serve
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output
from claude_mailbox.model.text import visible

_STATES = {
    "installed": "Installed",
    "updated": "Updated",
    "unchanged": "Nothing to change",
    "removed": "Removed",
    "absent": "Not installed",
}


def as_fields(outcome: Outcome) -> dict[str, object]:
    """Return the outcome as the fields of a JSON document."""
    fields: dict[str, object] = {"state": outcome.state, "entry": outcome.entry}
    if outcome.daemon is not None:
        fields["pid"] = outcome.daemon.pid
        fields["addresses"] = list(outcome.daemon.addresses)
    if outcome.logs:
        fields["logs"] = outcome.logs
    fields["notes"] = list(outcome.notes)
    if outcome.state in ("removed", "absent"):
        fields["deleted"] = list(outcome.deleted)
        fields["left"] = list(outcome.left)
    return fields


def as_text(outcome: Outcome) -> str:
    """Return the outcome as lines for a person."""
    lines = [f"{_STATES[outcome.state]}: {outcome.entry}"]
    if outcome.daemon is not None:
        lines.append(f"Running: pid {outcome.daemon.pid}, {' '.join(outcome.daemon.addresses)}")
    if outcome.logs:
        lines.append(f"Log: {outcome.logs}")
    lines += [f"Note: {note}" for note in outcome.notes]
    lines += [f"Deleted: {path}" for path in outcome.deleted]
    lines += [f"Left, not ours: {path}" for path in outcome.left]
    return "".join(f"{visible(line)}\n" for line in lines)


def _print(outcome: Outcome, *, as_json: bool) -> None:
    output.write(f"{codec.encode(as_fields(outcome))}\n" if as_json else as_text(outcome))


@click.command("install-autostart")
@click.option(
    "--service", is_flag=True, help="Windows only: a service for all users; needs an administrator."
)
@click.option(
    "--skip-port-check",
    is_flag=True,
    help="Install even if another program has the port: the daemon takes it when it is free.",
)
@options.daemon_flags
@options.as_json
def install_autostart(
    service: bool,
    skip_port_check: bool,
    as_json: bool,
    config_path: str | None,
    **flags: int | str | None,
) -> None:
    """Start the daemon now, at every login, and again when it fails.

    Linux: a unit of systemd --user. macOS: a LaunchAgent. Windows: a scheduled task, or the
    Run key where tasks are forbidden. None of them needs an administrator.

    It can be run again: it rewrites and restarts only what has changed. It stops a daemon that
    was started by hand, and the platform starts it again. The other flags are those of serve.

    \b
    Examples:
      claude-mailbox install-autostart
      claude-mailbox install-autostart --port 40000
    """
    program = current(serve.by_config_key(flags), config_path)
    _print(
        manager(program).install(service=service, skip_port_check=skip_port_check), as_json=as_json
    )


@click.command("uninstall-autostart")
@click.option("--purge", is_flag=True, help="Also delete the home folder with the database.")
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
@options.as_json
def uninstall_autostart(purge: bool, yes: bool, as_json: bool) -> None:
    """Stop the daemon and remove all that install-autostart has written.

    With --purge the home folder goes too, with all mail; on a terminal it asks first. Files in it that are not ours stay, and
    are listed.

    \b
    Examples:
      claude-mailbox uninstall-autostart
      claude-mailbox uninstall-autostart --purge --yes
    """
    if purge and not yes:
        question = f"Delete all mail, and the home folder {paths.home()}?"
        if not (sys.stdin and sys.stdin.isatty()):
            raise click.UsageError("'--purge' deletes all mail: add '--yes'.")
        click.confirm(question, abort=True, err=True)
    _print(manager().uninstall(purge=purge), as_json=as_json)
