"""The commands that hooks run, and those that put our hooks into settings files."""

import difflib
import os
import shlex

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.cli.program import hook_program
from claude_mailbox.client import codec
from claude_mailbox.client.hooks import session as session_hooks
from claude_mailbox.client.hooks.others.hook import client_hook as run_client_hook
from claude_mailbox.client.hooks.statusline import statusline as show_statusline
from claude_mailbox.client.hooks.tool_call import tool_call
from claude_mailbox.client.identity.naming import git_top_level
from claude_mailbox.client.settings.handlers import handlers_by_event
from claude_mailbox.client.settings.patch import MARK, Patch, plan, write
from claude_mailbox.client.terminal import output
from claude_mailbox.model.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@click.command("session-announce")
@click.option(
    "--peer-window-minutes",
    type=click.IntRange(0, 10_080),
    metavar="N",
    default=session_hooks.PEER_MINUTES,
    help="Tell of peers that were active in the last N minutes; 60 by default.",
)
@click.option(
    "--max-peers",
    type=click.IntRange(0, 10_000),
    metavar="N",
    default=session_hooks.MAX_PEERS,
    help="Name at most N of them; 10 by default.",
)
@options.url
def session_announce(peer_window_minutes: int, max_peers: int, url: str | None) -> int:
    """For the hook SessionStart: give the session a mailbox and tell the model how to use it.

    The hook's JSON comes on standard input. The daemon is started if need be.
    """
    return session_hooks.announce(
        peer_window_minutes=peer_window_minutes, max_peers=max_peers, url=url
    )


@click.command("session-end")
@options.url
def session_end(url: str | None) -> int:
    """For the hook SessionEnd: delete the session's mailbox, unless mail is pending."""
    return session_hooks.end(url=url)


@click.command("session-event")
@click.option("--if-waiting", is_flag=True, help="Only if the session was waiting for its user.")
@options.url
def session_event(if_waiting: bool, url: str | None) -> int:
    """For asynchronous hooks: tell what the session does, and which of its mail has arrived."""
    return session_hooks.event(if_waiting=if_waiting, url=url)


@click.command("session-companion")
@click.option("--session", required=True, metavar="ID", help="The session to ring.")
@click.option("--client", metavar="KEY", help="Its client process, as the daemon knows it.")
@options.url
def session_companion(session: str, client: str | None, url: str | None) -> int:
    """Started by session-announce when the daemon is on another machine: ring the session here."""
    from claude_mailbox.client.hooks.companion import run_companion

    return run_companion(session=session, client=client, url=url)


@click.command("client-hook")
@click.option("--client", required=True, metavar="CLIENT", help="Whose hook it is.")
@click.option("--moment", required=True, metavar="MOMENT", help="When it runs.")
@options.url
def client_hook(client: str, moment: str, url: str | None) -> int:
    """For the hooks of other clients than Claude Code: give the session a mailbox and show mail.

    'install' writes these hooks. The hook's JSON comes on standard input.
    """
    return run_client_hook(client=client, moment=moment, url=url)


@click.command("session-rearm")
def session_rearm() -> int:
    """For the hooks FileChanged and CwdChanged: keep watching the session's doorbell."""
    return session_hooks.rearm()


@click.command("statusline")
@click.option("--name", metavar="MAILBOX", help="The mailbox, instead of that of the session.")
def statusline(name: str | None) -> int:
    """Print one short line for the client's status line: what waits for the session and for you.

    The client's JSON comes on standard input. It reads a file that the daemon keeps, and asks nobody.

    \b
    Example:
      claude-mailbox statusline --name backend
    """
    return show_statusline(name=name)


@click.command("session-tool-call")
@options.url
def session_tool_call(url: str | None) -> int:
    """For the hook PreToolUse: tell the daemon which tool calls a subagent makes."""
    return tool_call(url=url)


@click.command("client-headers")
def client_headers() -> int:
    """For headersHelper of an MCP server: print headers that tell which session makes a call."""
    return session_hooks.client_headers()


def _settings_options(function: "Callable[..., Any]") -> "Callable[..., Any]":
    for option in (
        click.option("--user", is_flag=True, help="Change your own settings (the default)."),
        click.option("--project", is_flag=True, help="Change the settings of this project."),
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        options.as_json,
    ):
        function = option(function)
    return function


@click.command("install-hook")
@options.mailbox(
    "--name",
    "name",
    "Check this mailbox. Without it, every session has its own.",
    required=False,
)
@_settings_options
def install_hook(name: str | None, user: bool, project: bool, dry_run: bool, as_json: bool) -> int:
    """Add our hooks to Claude Code's settings, for those who do not use the plugin.

    Everything else in the file stays as it is, and a backup is kept until uninstall-hook. It can be
    run again, and then changes only what is different.

    \b
    Examples:
      claude-mailbox install-hook
      claude-mailbox install-hook --name backend --project
    """
    is_shared = _is_shared(user, project)
    if name is not None:
        name = shlex.quote(check_name(name, "--name"))
    wanted = handlers_by_event(hook_program(is_shared=is_shared), MARK, name)
    return _apply(plan(_settings_path(is_shared), wanted), dry_run, as_json)


@click.command("uninstall-hook")
@_settings_options
def uninstall_hook(user: bool, project: bool, dry_run: bool, as_json: bool) -> int:
    """Remove our hooks from Claude Code's settings; everything else in the file stays.

    \b
    Examples:
      claude-mailbox uninstall-hook
      claude-mailbox uninstall-hook --project --dry-run
    """
    return _apply(plan(_settings_path(_is_shared(user, project)), {}), dry_run, as_json)


def _is_shared(user: bool, project: bool) -> bool:
    """Return whether the settings are those of the project."""
    if user and project:
        raise click.UsageError("'--user' and '--project' exclude each other: give one of them.")
    return project


def _settings_path(is_shared: bool) -> str:
    """Return the settings file of the user, or that of the project in the working folder."""
    if is_shared:
        top = git_top_level(os.getcwd()) or os.getcwd()
        return os.path.join(top, ".claude", "settings.json")
    folder = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser(os.path.join("~", ".claude"))
    return os.path.join(folder, "settings.json")


def _apply(patch: Patch, dry_run: bool, as_json: bool) -> int:
    is_changed = patch.new != patch.old
    if is_changed and not dry_run:
        write(patch)
    backup = patch.backup if os.path.exists(patch.backup) else None
    if as_json:
        document = {"path": patch.path, "changed": is_changed, "dryRun": dry_run, "backup": backup}
        output.write(codec.encode(document) + "\n")
    elif not is_changed:
        output.write(f"Nothing to change in {patch.path}\n")
    elif dry_run:
        output.write(_diff(patch))
    else:
        kept = f", the backup is {backup}" if backup else ""
        output.write(f"Changed {patch.path}{kept}. New sessions will use it.\n")
    return 0


def _diff(patch: Patch) -> str:
    old = (patch.old or "").splitlines(keepends=True)
    new = (patch.new or "").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, patch.path, patch.path)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
