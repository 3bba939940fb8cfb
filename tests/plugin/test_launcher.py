"""The launcher finds the command wherever it is, and says so once when it is nowhere."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox import __version__

LAUNCHER = Path(__file__).parents[2] / "plugin" / "bin" / "claude-mailbox"
SOURCE = Path(claude_mailbox.__file__).parents[1]


class Machine:
    """A user's machine, as far as the launcher looks at it.

    Attributes:
        home: the user's home folder.
        env: environment of a hook.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "a home"
        self.home.mkdir()
        self.env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}

    def run(
        self, *arguments: str, launcher: Path = LAUNCHER, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the launcher as a hook does."""
        return subprocess.run(
            [launcher, *arguments],
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def install(self, folder: Path, says: str) -> None:
        """Put a command into *folder* that says something and its arguments."""
        folder.mkdir(parents=True, exist_ok=True)
        command = folder / "claude-mailbox"
        command.write_text(f'#!/bin/sh\necho "{says}:$*"\n')
        command.chmod(0o755)

    def note(self, python: str, root: Path) -> None:
        """Write the note that the command leaves."""
        folder = self.home / ".claude-mailbox"
        folder.mkdir(exist_ok=True)
        (folder / "command").write_text(f"{python}\n{root}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without the command."""
    return Machine(tmp_path)


class TestNowhere:
    def test_a_session_is_told_once(self, machine: Machine) -> None:
        """The user and the model get one line at the session's start."""
        done = machine.run("session-announce")
        told = json.loads(done.stdout)
        assert done.returncode == 0
        assert "/claude-mailbox:mailbox-doctor" in told["systemMessage"]
        assert told["hookSpecificOutput"] == {
            "hookEventName": "SessionStart",
            "additionalContext": told["systemMessage"],
        }

    @pytest.mark.parametrize(
        "arguments", [("check", "--hook"), ("session-end",), ("session-rearm",)]
    )
    def test_the_other_hooks_are_silent(self, machine: Machine, arguments: tuple[str, ...]) -> None:
        """No prompt is disturbed by a plugin that is not set up."""
        done = machine.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_the_tools_connect_without_identity(self, machine: Machine) -> None:
        """The client wants JSON from the helper, whatever it is."""
        assert json.loads(machine.run("client-headers").stdout) == {}

    def test_the_model_gets_an_error(self, machine: Machine) -> None:
        """In a shell it is a command that is not there."""
        done = machine.run("status")
        assert (done.returncode, done.stdout) == (127, "")
        assert "mailbox-doctor" in done.stderr


class TestSearch:
    @pytest.mark.parametrize("place", [".local/bin", ".claude-mailbox/venv/bin"])
    def test_looks_where_it_is_installed(self, machine: Machine, place: str) -> None:
        """The PATH of hooks seldom has these."""
        machine.install(machine.home / place, "found")
        assert machine.run("check", "--hook").stdout == "found:check --hook\n"

    def test_looks_where_the_tools_say(self, machine: Machine, tmp_path: Path) -> None:
        """uv and pipx can be told to install elsewhere."""
        for variable in ("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR"):
            folder = tmp_path / variable
            machine.install(folder, variable)
            assert machine.run("list", env={variable: str(folder)}).stdout == f"{variable}:list\n"

    def test_prefers_the_path(self, machine: Machine, tmp_path: Path) -> None:
        """What the user's shell would run comes first, folders with blanks included."""
        machine.install(machine.home / ".local" / "bin", "usual place")
        machine.install(tmp_path / "on the path", "path")
        path = f"{tmp_path / 'on the path'}:/usr/bin:/bin"
        assert machine.run("list", env={"PATH": path}).stdout == "path:list\n"

    def test_does_not_find_itself(self, machine: Machine, tmp_path: Path) -> None:
        """The launcher's folder is on the PATH of the shell tool, and so may be older copies."""
        copy = tmp_path / "older" / "bin" / "claude-mailbox"
        copy.parent.mkdir(parents=True)
        (copy.parents[1] / ".claude-plugin").mkdir()
        shutil.copy(LAUNCHER, copy)
        path = f"{LAUNCHER.parent}:{copy.parent}:/usr/bin:/bin"
        assert machine.run("status", env={"PATH": path}).returncode == 127
        machine.install(machine.home / ".local" / "bin", "found")
        assert machine.run("status", env={"PATH": path}).stdout == "found:status\n"

    def test_does_not_go_round_in_circles(self, machine: Machine) -> None:
        """Somebody may have made a link to the launcher where tools are installed."""
        folder = machine.home / ".local" / "bin"
        folder.mkdir(parents=True)
        (folder / "claude-mailbox").symlink_to(LAUNCHER)
        assert machine.run("status").returncode == 127

    def test_passes_arguments_and_exit_codes_on(self, machine: Machine) -> None:
        """Quoting survives."""
        folder = machine.home / ".local" / "bin"
        machine.install(folder, "x")
        (folder / "claude-mailbox").write_text('#!/bin/sh\nprintf "[%s]" "$@"\nexit 3\n')
        done = machine.run("send", "--body", "two words", "*")
        assert (done.returncode, done.stdout) == (3, "[send][--body][two words][*]")


class TestNote:
    def test_starts_the_hooks_without_a_search(self, machine: Machine) -> None:
        """From the note alone, though no command is to be found."""
        machine.note(sys.executable, SOURCE)
        done = machine.run("client-headers", env={"CLAUDE_PID": "1"})
        assert json.loads(done.stdout)["X-Mailbox-Client"].partition("-")[0] == "1"

    def test_starts_everything_else_in_full(self, machine: Machine) -> None:
        """Commands that hooks do not run may need what is installed beside us."""
        machine.note(sys.executable, SOURCE)
        done = machine.run("--version", env={"PYTHONPATH": str(SOURCE)})
        assert done.stdout.split()[-1] == __version__

    @pytest.mark.parametrize("broken", ["python", "package", "empty"])
    def test_that_is_out_of_date_is_passed_over(
        self, machine: Machine, tmp_path: Path, broken: str
    ) -> None:
        """An installation that is gone is looked for again."""
        python = "/nowhere/python" if broken == "python" else sys.executable
        machine.note(python, tmp_path if broken == "package" else SOURCE)
        if broken == "empty":
            (machine.home / ".claude-mailbox" / "command").write_text("")
        machine.install(machine.home / ".local" / "bin", "found")
        assert machine.run("check", "--hook").stdout == "found:check --hook\n"

    def test_lies_in_the_home_folder(self, machine: Machine, tmp_path: Path) -> None:
        """Wherever that was moved to."""
        machine.note(sys.executable, SOURCE)
        moved = tmp_path / "moved"
        (machine.home / ".claude-mailbox").rename(moved)
        env = {"CLAUDE_MAILBOX_HOME": str(moved), "CLAUDE_PID": "1"}
        assert "X-Mailbox-Client" in machine.run("client-headers", env=env).stdout
