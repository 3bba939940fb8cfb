"""The full command line: help, errors, and commands that are imported when they are called."""

import importlib
import os
import sys

import rich_click as click

from claude_mailbox import __version__
from claude_mailbox.cli.exit_status import exit_status
from claude_mailbox.client import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "claude-mailbox"

# Panel of the help -> command -> module and attribute, in the order of the help.
PANELS = {
    "Mail": {
        "send": "commands.mail:send",
        "watch": "commands.mail:watch",
        "check": "commands.mail:check",
        "peek": "commands.mail:peek",
        "receipt": "commands.history:receipt",
        "log": "commands.history:log",
        "list": "commands.mail:list_mailboxes",
        "rename": "commands.mail:rename",
    },
    "Daemon": {
        "status": "commands.daemon:status",
        "start": "commands.daemon:start",
        "stop": "commands.daemon:stop",
        "restart": "commands.daemon:restart",
        "serve": "commands.daemon:serve",
        "doctor": "doctor.command:doctor",
        "demo": "demo.command:demo",
        "install-autostart": "commands.autostart:install_autostart",
        "uninstall-autostart": "commands.autostart:uninstall_autostart",
    },
    "Clients": {
        "install-hook": "commands.hooks:install_hook",
        "uninstall-hook": "commands.hooks:uninstall_hook",
        "mcp-config": "commands.mcp_config:mcp_config",
        "mcp-stdio": "commands.mcp_stdio:mcp_stdio",
        "completion": "commands.completion:completion",
    },
    "Hooks": {
        "session-announce": "commands.hooks:session_announce",
        "session-end": "commands.hooks:session_end",
        "session-event": "commands.hooks:session_event",
        "session-rearm": "commands.hooks:session_rearm",
        "session-tool-call": "commands.hooks:session_tool_call",
        "client-headers": "commands.hooks:client_headers",
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


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.rich_config(
    help_config={
        "command_groups": {
            PROGRAM: [{"name": name, "commands": list(panel)} for name, panel in PANELS.items()]
        }
    }
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
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
    return exit_status(_run, {"arguments": arguments})


def _run(arguments: "Sequence[str] | None") -> int:
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        output.report_error(f"{_sentence(error.format_message())} See '{path} --help'.")
        return 1
    except click.ClickException as error:
        output.report_error(_sentence(error.format_message()))
        return 1
    except click.Abort:
        return 130
    except BrokenPipeError:
        # The reader of our standard output has left. Nothing more can go there at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _sentence(text: str) -> str:
    """Return an error of click on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
