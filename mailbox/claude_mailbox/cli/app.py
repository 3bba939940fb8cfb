"""The full command line: help, errors, and commands that are imported when they are called."""

import difflib
import importlib
import os
import sys

import rich_click as click

from claude_mailbox import __version__
from claude_mailbox.cli.exit_status import exit_status
from claude_mailbox.cli.help_format import HelpFormatter
from claude_mailbox.client.terminal import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "claude-mailbox"
# Of all commands: the context of each is one of these.
click.RichContext.formatter_class = HelpFormatter

# Panel of the help -> command -> module and attribute, in the order of the help.
PANELS = {
    "Mail": {
        "send": "commands.messages.send:send",
        "reply": "commands.messages.send:reply",
        "ask": "commands.messages.send:ask",
        "watch": "commands.messages.mail:watch",
        "check": "commands.messages.mail:check",
        "peek": "commands.messages.mail:peek",
        "receipt": "commands.messages.history:receipt",
        "log": "commands.messages.history:log",
        "parked": "commands.messages.parked:parked",
        "list": "commands.messages.mail:list_mailboxes",
        "rename": "commands.messages.mail:rename",
        "delete": "commands.messages.mail:delete",
        "describe": "commands.messages.groups:describe",
        "groups": "commands.messages.groups:groups",
        "join": "commands.messages.groups:join",
        "leave": "commands.messages.groups:leave",
        "held": "commands.messages.held:held",
    },
    "People": {
        "inbox": "commands.inbox:inbox",
        "top": "top.command:top",
        "statusline": "commands.clients.hooks:statusline",
    },
    "Copies": {
        "backup": "copies.command:backup",
        "restore": "copies.command:restore",
        "export": "copies.command:export",
        "import": "copies.command:import_",
    },
    "Daemon": {
        "status": "commands.machine.daemon:status",
        "start": "commands.machine.daemon:start",
        "stop": "commands.machine.daemon:stop",
        "restart": "commands.machine.daemon:restart",
        "serve": "commands.machine.daemon:serve",
        "doctor": "doctor.command:doctor",
        "migrate": "commands.machine.migrate:migrate",
        "token": "commands.machine.tokens:token",
        "demo": "demo.command:demo",
        "install-autostart": "commands.machine.autostart:install_autostart",
        "uninstall-autostart": "commands.machine.autostart:uninstall_autostart",
    },
    "Clients": {
        "install": "commands.clients.install:install",
        "uninstall": "commands.clients.install:uninstall",
        "install-hook": "commands.clients.hooks:install_hook",
        "uninstall-hook": "commands.clients.hooks:uninstall_hook",
        "mcp-config": "commands.clients.mcp_config:mcp_config",
        "mcp-stdio": "commands.clients.mcp_stdio:mcp_stdio",
        "completion": "commands.completion:completion",
    },
    "Hooks": {
        "session-announce": "commands.clients.hooks:session_announce",
        "session-end": "commands.clients.hooks:session_end",
        "session-event": "commands.clients.hooks:session_event",
        "session-companion": "commands.clients.hooks:session_companion",
        "client-hook": "commands.clients.hooks:client_hook",
        "session-rearm": "commands.clients.hooks:session_rearm",
        "session-tool-call": "commands.clients.hooks:session_tool_call",
        "client-headers": "commands.clients.hooks:client_headers",
    },
}
_LOCATIONS = {name: location for panel in PANELS.values() for name, location in panel.items()}


class LazyGroup(click.RichGroup):
    """Imports the module of a command when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_LOCATIONS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        location = _LOCATIONS.get(cmd_name)
        if location is None:
            return None
        module, _, attribute = location.partition(":")
        command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  # as in the table
        return command

    def resolve_command(
        self, ctx: click.Context, args: "list[str]"
    ) -> "tuple[str | None, click.Command | None, list[str]]":
        if args[0] == "help":
            args = [*args[1:2], "--help"] if args[1:] else ["--help"]
            if args == ["--help"]:
                click.echo(ctx.get_help())
                ctx.exit()
        if args[0] not in _LOCATIONS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], _LOCATIONS, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not any("--url" in each.opts for each in command.params):
            rest = _without_url(rest)
        return name, command, rest


def _without_url(arguments: "list[str]") -> "list[str]":
    """Leave out an address, for a command that has no use for it."""
    kept: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--url":
            next(left, None)
        elif not argument.startswith("--url="):
            kept.append(argument)
    return kept


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.rich_config(
    help_config={
        "command_groups": {
            PROGRAM: [{"name": name, "commands": list(panel)} for name, panel in PANELS.items()]
        },
        "text_paragraph_linebreaks": "\n\n",
    }
)
@click.version_option(
    __version__, "-V", "--version", prog_name=PROGRAM, message="%(prog)s %(version)s"
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Mail between coding-agent sessions that run side by side on one machine.

    Exit codes: 0 done, 1 error, 2 daemon unreachable, 3 time-out of a wait.

    \b
    Examples:
      claude-mailbox start
      claude-mailbox send --from me --to peer --body "Hello"
      claude-mailbox watch --block --name peer
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the full command line and return the exit code."""
    return exit_status(_run, {"arguments": arguments}, as_json=_is_json(arguments))


def _run(arguments: "Sequence[str] | None") -> int:
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        sentence = f"{_sentence(error.format_message())} See '{path} --help'."
        output.report_error(sentence, "usage" if _is_json(arguments) else None)
        return 1
    except click.ClickException as error:
        sentence = _sentence(error.format_message())
        output.report_error(sentence, "usage" if _is_json(arguments) else None)
        return 1
    except click.Abort:
        return 130
    except BrokenPipeError:
        # The reader of our standard output has left. Nothing more can go there at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _is_json(arguments: "Sequence[str] | None") -> bool:
    return "--json" in (sys.argv[1:] if arguments is None else arguments)


def _sentence(text: str) -> str:
    """Return an error of click on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
