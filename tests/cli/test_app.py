"""Help, errors and completion."""

import os
import pty
import signal
import subprocess

import pytest
import rich_click as click

from claude_mailbox import __version__
from claude_mailbox.cli import app
from client.server import Server
from support.commandline import CommandLine, until

COMMANDS = sorted(name for panel in app.PANELS.values() for name in panel)


class TestHelp:
    def test_lists_all_commands(self, shared: CommandLine) -> None:
        """With no arguments, and when asked."""
        for arguments in ([], ["-h"]):
            done = shared.run(*arguments)
            assert (done.returncode, done.stderr) == (0, "")
            assert all(f" {name} " in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_explains_itself(self, name: str) -> None:
        """A sentence, and help for each option."""
        command = app.cli.get_command(click.Context(app.cli), name)
        assert command is not None
        assert command.name == name
        assert command.help
        assert command.get_short_help_str(200)
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"

    @pytest.mark.parametrize("name", ["send", "watch", "serve", "doctor"])
    def test_has_examples(self, shared: CommandLine, name: str) -> None:
        """They can be copied: each on a line of its own."""
        done = shared.run(name, "--help")
        assert done.returncode == 0
        assert "Example" in done.stdout
        assert any(
            line.strip().startswith(f"claude-mailbox {name}") for line in done.stdout.splitlines()
        )

    def test_the_version(self, shared: CommandLine) -> None:
        """Name and number, for scripts and bug reports."""
        assert shared.run("--version").stdout == f"claude-mailbox {__version__}\n"


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["frobnicate"], "No such command 'frobnicate'"),
            (["--frobnicate"], "No such option '--frobnicate'"),
            (["peek"], "Missing option '--name'. See 'claude-mailbox peek --help'."),
            (["peek", "--name"], "'--name' requires an argument"),
            (["peek", "--nam", "a"], "--name"),
            (["peek", "--name", "a", "b"], "unexpected extra argument"),
            (["check"], "Missing option '--name'."),
            (["check", "--wake", "--name", "a"], "'--wake' goes with '--hook' only"),
            (["check", "--hook", "--json"], "'--hook' goes with"),
            (["completion", "tcsh"], "'tcsh' is not one of"),
            (["peek", "--name", "a", "--url", "ftp://x"], "http://HOST:PORT or unix:/PATH"),
        ],
    )
    def test_are_one_sentence_and_exit_code_1(
        self, shared: CommandLine, arguments: list[str], words: str
    ) -> None:
        """2 means that the daemon is unreachable, and nothing else."""
        done = shared.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        assert words in done.stderr

    def test_a_closed_pipe_is_no_traceback(self, shared: CommandLine) -> None:
        """`claude-mailbox --help | head -1`."""
        shared.bodies("list-pipe")
        for arguments in (["--help"], ["list"], ["status"], ["completion", "zsh"], ["doctor"]):
            read, write = os.pipe()
            os.close(read)
            child = shared.spawn(*arguments, stdout=write)
            os.close(write)
            _, errors = child.communicate()
            assert child.returncode == 1, arguments
            assert "Traceback" not in errors
            assert "Exception" not in errors


def test_an_interrupt_is_exit_code_130(shared: CommandLine) -> None:
    """In silence, as with every other command line tool."""
    with Server(lambda peer: (peer.read(), peer.await_end())) as server:  # type: ignore[func-returns-value]
        child = shared.spawn("list", "--url", str(server.address))
        until(lambda: bool(server.requests), "the request")
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate()
    assert (child.returncode, output, errors.strip()) == (130, "", "")


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_the_shells_script(self, shared: CommandLine, shell: str) -> None:
        """It calls us back by its variable."""
        done = shared.run("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"_CLAUDE_MAILBOX_COMPLETE={shell}_complete" in done.stdout

    def complete(self, commandline: CommandLine, words: str) -> list[str]:
        """Return what bash would be offered for the last word."""
        count = len(words.split(" ")) - 1
        variables = {
            "_CLAUDE_MAILBOX_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(count),
        }
        done = commandline.run(environment=variables)
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    def test_offers_commands_options_and_mailboxes(self, shared: CommandLine) -> None:
        """Mailboxes are those that the daemon knows; without one, none."""
        assert "watch" in self.complete(shared, "claude-mailbox wa")
        assert "--follow" in self.complete(shared, "claude-mailbox watch --f")
        shared.bodies("completable-box")
        assert self.complete(shared, "claude-mailbox peek --name compl") == ["completable-box"]
        down = "claude-mailbox peek --url http://127.0.0.1:9 --name compl"
        assert self.complete(shared, down) == []

    def test_the_script_works_in_a_real_bash(self, shared: CommandLine) -> None:
        """It loads without complaint and registers itself."""
        script = shared.run("completion", "bash").stdout
        done = subprocess.run(
            ["bash", "-c", f"{script}\ncomplete -p claude-mailbox"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "-F _claude_mailbox_completion claude-mailbox" in done.stdout
        assert done.stderr == ""


class TestList:
    def test_plain_lines_for_programs(self, shared: CommandLine) -> None:
        """Columns between tabs, no header; the asker sees what waits for him."""
        shared.send("list-me", "hi", sender="list-peer")
        done = shared.run("list", "--name", "list-me")
        rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
        assert rows["list-peer"][1:] == ["0", "1", "no"]
        assert rows["list-me"][1:] == ["1", "0", "no"]
        assert len(shared.run("list").stdout.splitlines()[0].split("\t")) == 4

    def test_json(self, shared: CommandLine) -> None:
        """The daemon's rows."""
        import json

        shared.bodies("list-json")
        rows = json.loads(shared.run("list", "--json").stdout)
        assert "list-json" in {row["name"] for row in rows}

    def test_a_table_for_people(self, shared: CommandLine) -> None:
        """A terminal gets a header."""
        shared.bodies("list-table")
        master, slave = pty.openpty()
        child = shared.spawn("list", stdout=slave)
        os.close(slave)
        output = b""
        try:
            while piece := os.read(master, 65536):
                output += piece
        except OSError:  # the other end of a terminal is gone
            pass
        os.close(master)
        assert child.wait() == 0
        assert b"Mailbox" in output
        assert b"Last seen" in output
        assert b"list-table" in output
