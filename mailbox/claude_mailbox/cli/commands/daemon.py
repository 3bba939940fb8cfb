"""The commands that run, start and stop the daemon, and say whether it runs."""

from typing import Any

import rich_click as click

from claude_mailbox import paths
from claude_mailbox.cli import options, serving, tables
from claude_mailbox.client import codec, output
from claude_mailbox.client.mail import commands as mail
from claude_mailbox.client.reach import address, lock, startup
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.text import visible
from claude_mailbox.errors import DaemonUnreachable, MailboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.autostart import Manager

RUNNING, STOPPED, NOT_INSTALLED = "Running", "Stopped", "NotInstalled"


@click.command()
@options.daemon_flags
@options.as_json
def serve(**flags: Any) -> int:
    """Run the daemon in the foreground; Ctrl-C ends it.

    A flag wins over mailbox.json in the home folder, which wins over the default.

    \b
    Examples:
      claude-mailbox serve
      claude-mailbox serve --port 0 --db-path /tmp/test.db
    """
    return serving.serve(**flags)


@click.command()
@options.url
@options.as_json
def status(url: str | None, as_json: bool) -> int:
    """Say whether the daemon runs: Running, Stopped or NotInstalled is the first word.

    \b
    Examples:
      claude-mailbox status
      claude-mailbox status --json
    """
    fields: dict[str, object] = {"state": STOPPED}
    autostart = _autostart_words()
    daemon = Daemon(url, seconds=startup.HEALTH_SECONDS)
    try:
        fields |= {"state": RUNNING} | _place(daemon.health())
        rows = mail.mailboxes(url=url)
    except DaemonUnreachable as error:
        fields["state"] = STOPPED if autostart else NOT_INSTALLED
        fields["reason"] = str(error)
    else:
        fields["mailboxes"] = len(rows)
        fields["pending"] = sum(n for row in rows if isinstance(n := row.get("pending"), int))
    fields["autostart"] = autostart
    _print(fields, as_json=as_json, title=str(fields["state"]))
    return 0


@click.command()
@options.url
@options.as_json
def start(url: str | None, as_json: bool) -> int:
    """Start the daemon in the background, and return when it answers.

    Where autostart is installed, the platform starts it.

    \b
    Example:
      claude-mailbox start
    """
    health = startup.find(url)
    is_new = health is None
    if health is None:
        _require_own(url)
        health = _start()
    _print_started(health, is_new=is_new, as_json=as_json)
    return 0


@click.command()
@options.url
@options.as_json
def stop(url: str | None, as_json: bool) -> int:
    """Stop the daemon, and return when it has left. Mail stays where it is.

    Where autostart is installed, it comes back at the next login.

    \b
    Example:
      claude-mailbox stop
    """
    _require_own(url)
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
    """Stop the daemon and start it again. Watchers with --follow and MCP clients go on.

    \b
    Example:
      claude-mailbox restart
    """
    _require_own(url)
    _stop()
    _print_started(_start(), is_new=True, as_json=as_json)
    return 0


def _require_own(url: str | None) -> None:
    """Make sure that an address, when one is given, leads to this home folder's daemon.

    Raises:
        MailboxError: if it does not: we can start and stop no other.
    """
    if address.is_default(url):
        return
    health = startup.find(url)
    holder = lock.holder()
    if health is None or holder is None or health.get("pid") != holder.get("pid"):
        raise MailboxError(
            f"The daemon at {address.candidates(url)[0]} is not that of the home folder"
            f" {paths.home()}: start and stop it where it belongs, or leave out --url and"
            " CLAUDE_MAILBOX_URL."
        )


def _start() -> dict[str, object]:
    """Start the daemon the way it is installed, and return its health."""
    manager = _manager()
    if manager is None:
        return startup.ensure()[0]
    manager.start()
    return startup.await_health(None)


def _stop() -> int | None:
    """Stop the home folder's daemon; return its pid, or None if there was none."""
    from claude_mailbox.autostart.resident import Resident

    manager = _manager()
    # A service of Windows has a home folder of its own.
    resident = Resident(paths.home()) if manager is None else manager.resident
    found = resident.running()
    if found is None:
        return None
    if manager is not None and manager.owns(found):
        manager.stop()
        resident.await_end(found)
    else:
        resident.stop()
    return found.pid


def _manager() -> "Manager | None":
    """Return the platform's autostart where it is installed."""
    from claude_mailbox import autostart

    manager = autostart.manager()
    return manager if manager.installed() else None


def _autostart_words() -> str | None:
    """Return the autostart entry in words, or None when there is none."""
    try:
        manager = _manager()
        return manager.describe() if manager else None
    except MailboxError as error:
        return f"unknown: {error}"


def _place(health: "dict[str, object]") -> "dict[str, object]":
    """Return what people want to know of a daemon's health."""
    return {key: health.get(key) for key in ("version", "pid", "addresses", "dbPath")}


def _print_started(health: "dict[str, object]", *, is_new: bool, as_json: bool) -> None:
    title = "Started" if is_new else "Already running"
    _print({"started": is_new} | _place(health), as_json=as_json, title=title)


_WORDS = {"dbPath": "database"}
_UNSAID = ("state", "started")


def _print(fields: "dict[str, object]", *, as_json: bool, title: str) -> None:
    if as_json:
        output.write(codec.encode(fields) + "\n")
        return
    said = {
        _WORDS.get(key, key): _word(value) for key, value in fields.items() if key not in _UNSAID
    }
    tables.print_fields(title, said)


def _word(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "no" if value is None else visible(str(value))
