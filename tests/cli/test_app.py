"""Help and errors of the full command line."""

import inspect
import json
import os
import signal
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner

from claude_mailbox import __version__
from claude_mailbox.cli import app
from client.server import Server
from support.commandline import CommandLine, until

COMMANDS = sorted(name for panel in app.PANELS.values() for name in panel)


class TestHelp:
    def test_lists_all_commands(self, shared: CommandLine) -> None:
        """Without arguments, and with -h."""
        for arguments in ([], ["-h"]):
            done = shared.run(*arguments)
            assert (done.returncode, done.stderr) == (0, "")
            assert all(f" {name} " in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_and_option_has_help(self, name: str) -> None:
        """A sentence for the command, and one for each option."""
        command = app.cli.get_command(click.Context(app.cli), name)
        assert command is not None
        assert command.name == name
        assert command.help
        assert command.get_short_help_str(200)
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_examples_are_printed_as_they_are_written(self, name: str) -> None:
        """Each on a line of its own, indented, and whole: they can be copied."""
        command = app.cli.get_command(click.Context(app.cli), name)
        assert command is not None
        assert command.callback is not None
        _, heading, examples = (inspect.getdoc(command.callback) or "").partition("\b\nExample")
        assert heading or name in app.PANELS["Hooks"]
        done = CliRunner().invoke(app.cli, [name, "--help"])
        assert done.exit_code == 0
        shown = [line[1:].rstrip() for line in done.stdout.splitlines()]
        for example in examples.splitlines()[1:]:
            assert example in shown
            assert example.startswith("  ")

    def test_version_has_name_and_number(self, shared: CommandLine) -> None:
        """For scripts and bug reports."""
        assert shared.run("--version").stdout == f"claude-mailbox {__version__}\n"

    def test_help_is_a_command_too(self, shared: CommandLine) -> None:
        """Of everything, and of one command."""
        assert shared.run("help").stdout == shared.run("--help").stdout
        assert shared.run("help", "peek").stdout == shared.run("peek", "--help").stdout
        assert shared.run("-V").stdout == shared.run("--version").stdout


@pytest.mark.parametrize("arguments", [["completion", "zsh"], ["install-hook", "--dry-run"]])
def test_every_command_takes_a_url(
    shared: CommandLine, tmp_path: Path, arguments: list[str]
) -> None:
    """Those that have no use for it ignore it."""
    environment = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    for url in (["--url", shared.process.url], [f"--url={shared.process.url}"]):
        done = shared.run(*arguments, *url, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["peek", "--json"], "usage"),
        (["rename", "--name", "a", "--to", "", "--json"], "invalid-name"),
    ],
)
def test_errors_are_json_with_json(shared: CommandLine, arguments: list[str], reason: str) -> None:
    """Of the command line, and of the daemon."""
    done = shared.run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    error = json.loads(done.stderr)
    assert error["reason"] == reason
    assert error["error"].endswith(".")


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["frobnicate"], "No such command 'frobnicate'"),
            (["strat"], "Did you mean 'start'?"),
            (["install-hook", "--user", "--project"], "exclude each other"),
            (["uninstall-autostart", "--purge"], "add '--yes'"),
            (["--frobnicate"], "No such option '--frobnicate'"),
            (["peek"], "Missing option '--name'. See 'claude-mailbox peek --help'."),
            (["peek", "--name"], "'--name' requires an argument"),
            (["peek", "--nam", "a"], "--name"),
            (["peek", "--name", "a", "b"], "unexpected extra argument"),
            (["check"], "Missing option '--name'."),
            (["check", "--wake", "--name", "a"], "'--wake' goes with '--hook' only"),
            (["check", "--hook", "--name", "a", "--limit", "1"], "'--hook' goes with"),
            (["completion", "tcsh"], "'tcsh' is not one of"),
            (["peek", "--name", "a", "--url", "ftp://x"], "http://HOST:PORT or unix:/PATH"),
        ],
    )
    def test_wrong_arguments_are_one_sentence_with_exit_code_1(
        self, shared: CommandLine, arguments: list[str], words: str
    ) -> None:
        """Exit code 2 is only for a daemon that is unreachable."""
        done = shared.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        assert words in done.stderr

    def test_a_closed_pipe_gives_no_traceback(self, shared: CommandLine) -> None:
        """As in `claude-mailbox --help | head -1`."""
        shared.bodies("list-pipe")
        for arguments in (["--help"], ["list"], ["status"], ["completion", "zsh"], ["doctor"]):
            read, write = os.pipe()
            os.close(read)
            child = shared.spawn(*arguments, stdout=write)
            os.close(write)
            _, errors = child.communicate()
            assert child.returncode == 1, arguments
            assert errors == "", arguments


def test_ctrl_c_gives_exit_code_130(shared: CommandLine) -> None:
    """Without output."""
    with Server(lambda peer: (peer.read(), peer.await_end())) as server:  # type: ignore[func-returns-value]
        child = shared.spawn("list", "--url", str(server.address))
        until(lambda: bool(server.requests), "the request")
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate()
    assert (child.returncode, output, errors.strip()) == (130, "", "")
