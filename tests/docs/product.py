"""What the code has: its commands, its routes, its errors, its text."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import claude_mailbox
from claude_mailbox.cli.app import cli
from claude_mailbox.daemon.mcp.endpoint import McpEndpoint
from claude_mailbox.daemon.web.inbox.entry import EntryRoutes
from claude_mailbox.daemon.web.messages.follow import Follow
from claude_mailbox.daemon.web.messages.held import HeldRoutes
from claude_mailbox.daemon.web.messages.history import HistoryRoutes
from claude_mailbox.daemon.web.messages.mail import MailRoutes
from claude_mailbox.daemon.web.messages.parked import ParkedRoutes
from claude_mailbox.daemon.web.people.groups import GroupRoutes
from claude_mailbox.daemon.web.people.mailboxes import MailboxRoutes
from claude_mailbox.daemon.web.people.proof import ProofRoutes
from claude_mailbox.daemon.web.people.rings import RingRoutes
from claude_mailbox.daemon.web.people.sessions import SessionRoutes
from claude_mailbox.daemon.web.people.tokens import TokenRoutes
from claude_mailbox.daemon.web.service.identity import IdentityRoutes
from claude_mailbox.daemon.web.service.metrics import MetricsRoutes
from claude_mailbox.daemon.web.service.openapi import OpenApiRoutes
from claude_mailbox.errors import MailboxError

PACKAGE = Path(claude_mailbox.__file__).parent


def source(*folders: str) -> Iterator[str]:
    """Yield the text of each module, of the whole package or of some folders."""
    for folder in folders or (".",):
        for path in (PACKAGE / folder).rglob("*.py"):
            yield path.read_text()


def commands() -> dict[str, click.Command]:
    """Return the commands by name."""
    with click.Context(cli) as context:
        found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def route_tables() -> list[Any]:
    """Return what has routes; that a daemon has them, a test asks it."""
    nothing: Any = None
    return [
        MailRoutes(nothing, nothing),
        MailboxRoutes(nothing, nothing, nothing),
        HistoryRoutes(nothing, nothing),
        GroupRoutes(nothing, nothing),
        HeldRoutes(nothing, nothing),
        SessionRoutes(nothing, nothing, nothing, nothing),
        ProofRoutes(nothing, nothing),
        RingRoutes(nothing, nothing),
        TokenRoutes(nothing),
        ParkedRoutes(nothing),
        IdentityRoutes(nothing),
        MetricsRoutes(nothing, nothing),
        EntryRoutes(nothing, nothing, nothing, nothing),
        Follow(nothing, nothing),
        McpEndpoint(nothing, nothing, nothing),
        OpenApiRoutes([]),
    ]


def routes() -> list[tuple[str, str]]:
    """Return method and path of all routes."""
    tables = route_tables()
    return [(route.method, route.path) for table in tables for route in table.routes()]


def options(command: click.Command) -> set[str]:
    """Return the long options of a command, and of its commands if it has some."""
    if isinstance(command, click.Group):
        return {option for each in command.commands.values() for option in options(each)}
    return {
        spelling
        for parameter in command.params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
        if spelling.startswith("--")
    }


def errors() -> list[type[MailboxError]]:
    """Return all classes of errors, wherever they are."""
    for module in pkgutil.walk_packages([str(PACKAGE)], "claude_mailbox."):
        if not module.name.endswith("__main__") and "windows" not in module.name:
            importlib.import_module(module.name)
    found, todo = [], [MailboxError]
    while todo:
        each = todo.pop()
        found.append(each)
        todo += each.__subclasses__()
    return found
