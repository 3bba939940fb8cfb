"""What our entries in the files of clients run."""

import shlex
import shutil
import sys

from claude_mailbox.cli.install.edits import Hooks
from claude_mailbox.cli.install.elsewhere import address_elsewhere, variables
from claude_mailbox.cli.program import hook_program
from claude_mailbox.client.settings.handlers import Handler
from claude_mailbox.client.settings.patch import MARK

_PROGRAM = "claude-mailbox"


def own_program() -> list[str]:
    """Return our command; clients with windows have another PATH."""
    found = shutil.which(_PROGRAM)
    return [found] if found else [sys.executable, "-E", "-P", "-m", "claude_mailbox"]


def own_command(*, is_session: bool = True) -> list[str]:
    """Return the command of our MCP server.

    Args:
        is_session: whether the client's process runs one session at a time, whose mailbox it is.
    """
    session = ["--session"] if is_session else []
    return [*own_program(), "mcp-stdio", *session, *url_option()]


def url_option() -> list[str]:
    """Return the option for a daemon on another machine."""
    address = address_elsewhere()
    return [] if address is None else ["--url", str(address)]


def own_server(client: str, *, is_session: bool = True, **more: object) -> dict[str, object]:
    """Return the entry of our MCP server in the form that most clients have."""
    program, *arguments = own_command(is_session=is_session)
    server: dict[str, object] = {**more, "command": program, "args": arguments}
    found = variables(client) if url_option() else {}
    return {**server, "env": found} if found else server


def hook_command(client: str, moment: str) -> str:
    """Return the command of a hook."""
    command = f"{hook_program()} client-hook --client {client} --moment {moment}"
    return " ".join([command, *map(shlex.quote, url_option())])


def handlers_of_copilot(client: str, events: dict[str, str]) -> dict[str, object]:
    """Return hooks in the form of Copilot CLI; *events* as below."""
    found: dict[str, object] = {}
    for event, moment in events.items():
        command = hook_command(client, moment)
        # In PowerShell a path in quotes is a text, unless it is called.
        found[event] = [
            {"type": "command", "bash": command, "powershell": f"& {command}", "timeoutSec": 20}
        ]
    return found


def claude_hooks(client: str, events: dict[str, str], timeout: int) -> Hooks:
    """Return the hooks of a client whose settings have the form of Claude Code's.

    Args:
        client: how our command calls it.
        events: moment by the client's name of the event.
        timeout: in the client's unit.
    """
    handlers: dict[str, list[Handler]] = {}
    for event, moment in events.items():
        command = f"{hook_command(client, moment)}{MARK}"
        handlers[event] = [{"type": "command", "command": command, "timeout": timeout}]
    return Hooks(handlers)
