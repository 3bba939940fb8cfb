"""The commands around hooks: those that hooks run, and those that put hooks into settings files."""

import difflib
import os
import shlex
import shutil
import sys

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client import codec, output
from claude_mailbox.client.hooks import identity
from claude_mailbox.client.hooks import session as session_hooks
from claude_mailbox.client.settings import patch as settings_patch
from claude_mailbox.client.settings.entries import entries
from claude_mailbox.model import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PROGRAM = "claude-mailbox"


@click.command("session-announce")
@options.url
def session_announce(url: str | None) -> int:
    """For the hook SessionStart: give the session its mailbox and tell it how to use it.

    The hook's JSON comes on standard input. The daemon is started when it does not run.
    """
    return session_hooks.announce(url=url)


@click.command("session-end")
@options.url
def session_end(url: str | None) -> int:
    """For the hook SessionEnd: delete the session's mailbox, unless something pends there."""
    return session_hooks.end(url=url)


@click.command("session-rearm")
def session_rearm() -> int:
    """For the hooks FileChanged and CwdChanged: keep the session's bell watched."""
    return session_hooks.rearm()


@click.command("client-headers")
def client_headers() -> int:
    """For headersHelper of an MCP server: the headers that tell the session behind a call."""
    return session_hooks.client_headers()


def _target(function: "Callable[..., Any]") -> "Callable[..., Any]":
    for option in (
        click.option("--user", "scope", flag_value="user", help="In your own settings (default)."),
        click.option(
            "--project", "scope", flag_value="project", help="In the settings of this project."
        ),
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        options.as_json,
    ):
        function = option(function)
    return function


@click.command("install-hook")
@options.mailbox(
    "--name",
    "name",
    "Look into this mailbox. Without it every session has its own.",
    required=False,
)
@_target
def install_hook(name: str | None, scope: str | None, dry_run: bool, as_json: bool) -> int:
    """Add our hooks to Claude Code's settings, for those who do not use the plugin.

    Everything else in the file stays as it is; a copy of it is kept until uninstall-hook. Running
    it again changes nothing, or what is different.

    \b
    Examples:
      claude-mailbox install-hook
      claude-mailbox install-hook --name backend --project
    """
    if name is not None:
        name = shlex.quote(check_name(name, "--name"))
    wanted = entries(_program(scope), settings_patch.MARK, name)
    return _apply(settings_patch.plan(_path(scope), wanted), dry_run, as_json)


@click.command("uninstall-hook")
@_target
def uninstall_hook(scope: str | None, dry_run: bool, as_json: bool) -> int:
    """Take our hooks out of Claude Code's settings; what others wrote there stays.

    \b
    Examples:
      claude-mailbox uninstall-hook
      claude-mailbox uninstall-hook --project --dry-run
    """
    return _apply(settings_patch.plan(_path(scope), {}), dry_run, as_json)


def _path(scope: str | None) -> str:
    """Return the settings file: the user's, or that of the project that we are in."""
    if scope == "project":
        top = identity.top_level(os.getcwd()) or os.getcwd()
        return os.path.join(top, ".claude", "settings.json")
    folder = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser(os.path.join("~", ".claude"))
    return os.path.join(folder, "settings.json")


def _program(scope: str | None) -> str:
    """Return how a hook runs us; others who share a project have us in other places."""
    if scope == "project":
        return _PROGRAM
    found = shutil.which(_PROGRAM)
    if found is not None:
        return _quoted(found)
    return f"{_quoted(sys.executable)} -P -m claude_mailbox"


def _quoted(path: str) -> str:
    return f'"{path}"' if sys.platform == "win32" else shlex.quote(path)


def _apply(patch: settings_patch.Patch, dry_run: bool, as_json: bool) -> int:
    is_changed = patch.new != patch.old
    if is_changed and not dry_run:
        settings_patch.write(patch)
    backup = patch.backup if os.path.exists(patch.backup) else None
    if as_json:
        document = {"path": patch.path, "changed": is_changed, "dryRun": dry_run, "backup": backup}
        output.write(codec.encode(document) + "\n")
    elif not is_changed:
        output.write(f"Nothing to change in {patch.path}\n")
    elif dry_run:
        output.write(_diff(patch))
    else:
        kept = f", what was there before is in {backup}" if backup else ""
        output.write(f"Changed {patch.path}{kept}. It counts for new sessions.\n")
    return 0


def _diff(patch: settings_patch.Patch) -> str:
    old = (patch.old or "").splitlines(keepends=True)
    new = (patch.new or "").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, patch.path, patch.path)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
