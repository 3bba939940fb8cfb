"""Completion in the shell."""

import subprocess

import pytest

from support.commandline import CommandLine


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_the_script_for_each_shell(self, shared: CommandLine, shell: str) -> None:
        """The script calls us with a variable."""
        done = shared.run("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"_CLAUDE_MAILBOX_COMPLETE={shell}_complete" in done.stdout

    def complete(self, commandline: CommandLine, words: str) -> list[str]:
        """Return the completions that bash gets for the last word."""
        count = len(words.split(" ")) - 1
        variables = {
            "_CLAUDE_MAILBOX_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(count),
        }
        done = commandline.run(environment=variables)
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    def test_completes_commands_options_and_mailboxes(self, shared: CommandLine) -> None:
        """The daemon knows the mailboxes; if it is down there are none."""
        assert "watch" in self.complete(shared, "claude-mailbox wa")
        assert "--follow" in self.complete(shared, "claude-mailbox watch --f")
        shared.bodies("completable-box")
        assert self.complete(shared, "claude-mailbox peek --name compl") == ["completable-box"]
        down = "claude-mailbox peek --url http://127.0.0.1:9 --name compl"
        assert self.complete(shared, down) == []

    def test_bash_accepts_the_script(self, shared: CommandLine) -> None:
        """It registers the completion of our command."""
        script = shared.run("completion", "bash").stdout
        done = subprocess.run(
            ["bash", "-c", f"{script}\ncomplete -p claude-mailbox"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "-F _claude_mailbox_completion claude-mailbox" in done.stdout
        assert done.stderr == ""
