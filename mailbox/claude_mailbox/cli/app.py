"""The full command line: a group that loads a command only when it is wanted."""

import importlib
import os
import sys

import rich_click as click

from claude_mailbox import __version__
from claude_mailbox.cli.outcome import outcome
from claude_mailbox.client import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "claude-mailbox"

# Command -> where it is, by panel of the help, in the order of the help.
PANELS = {
    "Mail": {
        "send": "mail:send",
        "watch": "mail:watch",
        "check": "mail:check",
        "peek": "mail:peek",
        "list": "mail:list_mailboxes",
        "rename": "mail:rename",
    },
    "Daemon": {
        "status": "service:status",
        "start": "service:start",
        "stop": "service:stop",
        "restart": "service:restart",
        "serve": "service:serve",
        "doctor": "doctor:doctor",
        "demo": "demo:demo",
        "install-autostart": "autostart:install_autostart",
        "uninstall-autostart": "autostart:uninstall_autostart",
    },
    "Clients": {
        "install-hook": "hooks:install_hook",
        "uninstall-hook": "hooks:uninstall_hook",
        "mcp-config": "mcp_config:mcp_config",
        "mcp-stdio": "stdio:mcp_stdio",
        "completion": "completion:completion",
    },
    "Hooks": {
        "session-announce": "hooks:session_announce",
        "session-end": "hooks:session_end",
        "session-rearm": "hooks:session_rearm",
        "client-headers": "hooks:client_headers",
    },
}
_PLACES = {name: place for panel in PANELS.values() for name, place in panel.items()}


class LazyGroup(click.RichGroup):
    """Imports the module of a command when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  # the table says so
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

    Exit codes: 0 done, 1 error, 2 daemon unreachable, 3 time-out of a watch.

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
    return outcome(_run, {"arguments": arguments})


def _run(arguments: "Sequence[str] | None") -> int:
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        output.complain(f"{_sentence(error.format_message())} See '{path} --help'.")
        return 1
    except click.ClickException as error:
        output.complain(_sentence(error.format_message()))
        return 1
    except click.Abort:
        return 130
    except BrokenPipeError:
        # Whoever read our standard output has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _sentence(text: str) -> str:
    """Return a message of click's on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
