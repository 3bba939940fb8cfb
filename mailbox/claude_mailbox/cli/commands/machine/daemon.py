"""The commands that run, start and stop the daemon, and say whether it runs."""

from typing import Any

import rich_click as click

from claude_mailbox import paths
from claude_mailbox.cli import options, tables
from claude_mailbox.cli.serve import serve as run_daemon
from claude_mailbox.client import codec
from claude_mailbox.client.mail import commands as mail
from claude_mailbox.client.mail import held as holding
from claude_mailbox.client.reach import startup
from claude_mailbox.client.reach.address import is_own_daemon
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.lock_file import is_ours
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import DaemonUnreachable, MailboxError
from claude_mailbox.model.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.autostart import Manager

RUNNING, STOPPED, NOT_INSTALLED = "Running", "Stopped", "NotInstalled"


@click.command()
@options.daemon_flags
@options.as_json
def serve(**flags: Any) -> int:
    """Run the daemon in the foreground; Ctrl-C ends it.

    Flags override mailbox.json in the home folder.

    \b
    Examples:
      claude-mailbox serve
      claude-mailbox serve --port 0 --db-path /tmp/test.db
    """
    return run_daemon(**flags)


@click.command()
@options.url
@options.as_json
def status(url: str | None, as_json: bool) -> int:
    """Say whether the daemon runs. The first word is Running, Stopped or NotInstalled.

    The exit code is 0 if it runs, and 2 if it does not.

    \b
    Examples:
      claude-mailbox status
      claude-mailbox status --json
    """
    fields: dict[str, object] = {"state": STOPPED}
    daemon = Daemon(url, seconds=startup.HEALTH_SECONDS)
    is_elsewhere = daemon.address.wants_token
    autostart = None if is_elsewhere else _autostart_entry()
    try:
        fields |= {"state": RUNNING} | _essentials(daemon.health())
        rows = mail.mailboxes(show_all=True, url=url)
    except DaemonUnreachable as error:
        fields["state"] = STOPPED if autostart or is_elsewhere else NOT_INSTALLED
        fields["reason"] = str(error)
    else:
        fields["mailboxes"] = len(rows)
        fields["pending"] = sum(n for row in rows if isinstance(n := row.get("pending"), int))
        held = [] if is_elsewhere else holding.held(daemon)
        if held:
            fields["held"] = len(held) if as_json else holding.summary(held)
    if not is_elsewhere:
        fields["autostart"] = autostart
        fields["log"] = _log()
    _print(fields, as_json=as_json, title=str(fields["state"]))
    return 0 if fields["state"] == RUNNING else DaemonUnreachable.exit_code


@click.command()
@options.url
@options.as_json
def start(url: str | None, as_json: bool) -> int:
    """Start the daemon in the background, and return when it answers.

    If autostart is installed, the platform starts it.

    \b
    Example:
      claude-mailbox start
    """
    health = startup.find_running(url)
    is_new = health is None
    if health is None:
        _require_own_daemon(url)
        health = _start()
    _print_started(health, is_new=is_new, as_json=as_json)
    return 0


@click.command()
@options.url
@options.as_json
def stop(url: str | None, as_json: bool) -> int:
    """Stop the daemon, and return when it has ended. No mail is lost.

    If autostart is installed, the daemon starts again at the next login.

    \b
    Example:
      claude-mailbox stop
    """
    _require_own_daemon(url)
    pid = _stop()
    if as_json:
        output.write(codec.encode({"stopped": pid is not None, "pid": pid}) + "\n")
    else:
        output.write("Not running.\n" if pid is None else f"Stopped (pid {pid}).\n")
    return 0


@click.command()
@options.url
@options.as_json
def restart(url: str | None, as_json: bool) -> int:
    """Stop the daemon and start it again. Watchers with --follow and MCP clients reconnect.

    \b
    Example:
      claude-mailbox restart
    """
    _require_own_daemon(url)
    _stop()
    _print_started(_start(), is_new=True, as_json=as_json)
    return 0


def _require_own_daemon(url: str | None) -> None:
    """Check that the address leads to the daemon of this home folder.

    Raises:
        MailboxError: if it does not: we can start and stop no other.
    """
    if is_own_daemon(url):
        return
    health = startup.find_running(url)
    if health is None or not is_ours(health):
        raise MailboxError(
            f"The daemon at {Daemon(url).address} is not that of the home folder"
            f" {paths.home()}: start and stop it where it belongs, or leave out --url and"
            " CLAUDE_MAILBOX_URL."
        )


def _start() -> dict[str, object]:
    """Start the daemon, through autostart if that is installed, and return its health."""
    manager = _installed_manager()
    if manager is None:
        return startup.ensure_running()[0]
    manager.start()
    return startup.await_health(None)


def _stop() -> int | None:
    """Stop the daemon of the home folder; return its pid, or None if none runs."""
    from claude_mailbox.autostart.home_daemon import HomeDaemon

    manager = _installed_manager()
    # The Windows service has its own home folder, which its manager knows.
    home_daemon = HomeDaemon(paths.home()) if manager is None else manager.home_daemon
    running = home_daemon.running()
    if running is None:
        return None
    if manager is not None and manager.runs(running):
        manager.stop()
        home_daemon.await_end(running)
    else:
        home_daemon.stop()
    return running.pid


def _installed_manager() -> "Manager | None":
    """Return the autostart of this platform if it is installed."""
    from claude_mailbox import autostart

    manager = autostart.manager()
    return manager if manager.is_installed() else None


def _autostart_entry() -> str | None:
    """Return a description of the autostart entry, or None if there is none."""
    try:
        manager = _installed_manager()
        return manager.describe() if manager else None
    except MailboxError as error:
        return f"unknown: {error}"


def _log() -> str:
    """Return where the daemon's log is, or how to read it."""
    try:
        manager = _installed_manager()
    except MailboxError:
        manager = None
    return paths.log_path() if manager is None else manager.log_hint()


def _essentials(health: "dict[str, object]") -> "dict[str, object]":
    """Return the fields of a daemon's health that people want to know."""
    essentials = {key: health.get(key) for key in ("version", "pid", "addresses", "dbPath")}
    return essentials | ({"missing": health["missing"]} if health.get("missing") else {})


def _print_started(health: "dict[str, object]", *, is_new: bool, as_json: bool) -> None:
    title = "Started" if is_new else "Already running"
    _print({"started": is_new} | _essentials(health), as_json=as_json, title=title)


_LABELS = {"dbPath": "database"}
_IN_TITLE = ("state", "started")


def _print(fields: "dict[str, object]", *, as_json: bool, title: str) -> None:
    if as_json:
        output.write(codec.encode(fields) + "\n")
        return
    labelled = {
        _LABELS.get(key, key): _text(value) for key, value in fields.items() if key not in _IN_TITLE
    }
    tables.print_fields(title, labelled)


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "no" if value is None else visible(str(value))
