"""The launcher of the plugin finds the command, or says once that it is not installed."""

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
    """A user's machine: a home folder and the environment of a hook.

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

    def install(self, folder: Path, word: str) -> None:
        """Put a command into *folder* that prints *word* and its arguments."""
        folder.mkdir(parents=True, exist_ok=True)
        command = folder / "claude-mailbox"
        command.write_text(f'#!/bin/sh\necho "{word}:$*"\n')
        command.chmod(0o755)

    def write_record(self, python: str, root: Path) -> None:
        """Write the launch record that the command writes."""
        folder = self.home / ".claude-mailbox"
        folder.mkdir(exist_ok=True)
        (folder / "command").write_text(f"{python}\n{root}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without the command."""
    return Machine(tmp_path)


class TestNotInstalled:
    def test_a_session_start_prints_a_hint(self, machine: Machine) -> None:
        """One line for the user and the model."""
        done = machine.run("session-announce")
        told = json.loads(done.stdout)
        assert done.returncode == 0
        assert "/claude-mailbox:mailbox-doctor" in told["systemMessage"]
        assert told["hookSpecificOutput"] == {
            "hookEventName": "SessionStart",
            "additionalContext": told["systemMessage"],
        }

    @pytest.mark.parametrize(
        "arguments",
        [("check", "--hook"), ("session-end",), ("session-rearm",), ("session-tool-call",)],
    )
    def test_the_other_hooks_print_nothing(
        self, machine: Machine, arguments: tuple[str, ...]
    ) -> None:
        """A plugin that is not set up must not disturb prompts."""
        done = machine.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_the_headers_helper_prints_no_headers(self, machine: Machine) -> None:
        """Claude Code needs JSON from it."""
        assert json.loads(machine.run("client-headers").stdout) == {}

    def test_other_commands_are_an_error(self, machine: Machine) -> None:
        """With exit code 127, as for any command that is not found."""
        done = machine.run("status")
        assert (done.returncode, done.stdout) == (127, "")
        assert "mailbox-doctor" in done.stderr


class TestSearch:
    @pytest.mark.parametrize("place", [".local/bin", ".claude-mailbox/venv/bin"])
    def test_searches_the_folders_of_installers(self, machine: Machine, place: str) -> None:
        """The PATH of hooks seldom has them."""
        machine.install(machine.home / place, "found")
        assert machine.run("check", "--hook").stdout == "found:check --hook\n"

    def test_searches_the_folders_in_variables(self, machine: Machine, tmp_path: Path) -> None:
        """uv and pipx can install elsewhere."""
        for variable in ("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR"):
            folder = tmp_path / variable
            machine.install(folder, variable)
            assert machine.run("list", env={variable: str(folder)}).stdout == f"{variable}:list\n"

    def test_prefers_the_path(self, machine: Machine, tmp_path: Path) -> None:
        """The command that a shell would run comes first, also from a folder with blanks."""
        machine.install(machine.home / ".local" / "bin", "default folder")
        machine.install(tmp_path / "on the path", "path")
        path = f"{tmp_path / 'on the path'}:/usr/bin:/bin"
        assert machine.run("list", env={"PATH": path}).stdout == "path:list\n"

    def test_does_not_find_itself(self, machine: Machine, tmp_path: Path) -> None:
        """Its folder is on the PATH of the Bash tool, and so may be those of older copies."""
        copy = tmp_path / "older" / "bin" / "claude-mailbox"
        copy.parent.mkdir(parents=True)
        (copy.parents[1] / ".claude-plugin").mkdir()
        shutil.copy(LAUNCHER, copy)
        path = f"{LAUNCHER.parent}:{copy.parent}:/usr/bin:/bin"
        assert machine.run("status", env={"PATH": path}).returncode == 127
        machine.install(machine.home / ".local" / "bin", "found")
        assert machine.run("status", env={"PATH": path}).stdout == "found:status\n"

    def test_does_not_run_itself_through_a_link(self, machine: Machine) -> None:
        """There may be a link to the launcher in a folder that it searches."""
        folder = machine.home / ".local" / "bin"
        folder.mkdir(parents=True)
        (folder / "claude-mailbox").symlink_to(LAUNCHER)
        assert machine.run("status").returncode == 127

    def test_passes_arguments_and_the_exit_code(self, machine: Machine) -> None:
        """Blanks and wildcards in arguments are kept."""
        folder = machine.home / ".local" / "bin"
        machine.install(folder, "x")
        (folder / "claude-mailbox").write_text('#!/bin/sh\nprintf "[%s]" "$@"\nexit 3\n')
        done = machine.run("send", "--body", "two words", "*")
        assert (done.returncode, done.stdout) == (3, "[send][--body][two words][*]")


class TestLaunchRecord:
    def test_starts_the_hooks_without_a_search(self, machine: Machine) -> None:
        """No command is installed anywhere."""
        machine.write_record(sys.executable, SOURCE)
        done = machine.run("client-headers", env={"CLAUDE_PID": "1"})
        assert json.loads(done.stdout)["X-Mailbox-Client"].partition("-")[0] == "1"

    def test_starts_other_commands_with_site_packages(self, machine: Machine) -> None:
        """They need packages that are installed beside ours."""
        machine.write_record(sys.executable, SOURCE)
        done = machine.run("--version", env={"PYTHONPATH": str(SOURCE)})
        assert done.stdout.split()[-1] == __version__

    @pytest.mark.parametrize("broken", ["python", "package", "empty"])
    def test_a_record_of_a_removed_installation_is_ignored(
        self, machine: Machine, tmp_path: Path, broken: str
    ) -> None:
        """The launcher searches for the command then."""
        python = "/nowhere/python" if broken == "python" else sys.executable
        machine.write_record(python, tmp_path if broken == "package" else SOURCE)
        if broken == "empty":
            (machine.home / ".claude-mailbox" / "command").write_text("")
        machine.install(machine.home / ".local" / "bin", "found")
        assert machine.run("check", "--hook").stdout == "found:check --hook\n"

    def test_is_in_the_home_folder(self, machine: Machine, tmp_path: Path) -> None:
        """CLAUDE_MAILBOX_HOME may set another one."""
        machine.write_record(sys.executable, SOURCE)
        moved = tmp_path / "moved"
        (machine.home / ".claude-mailbox").rename(moved)
        env = {"CLAUDE_MAILBOX_HOME": str(moved), "CLAUDE_PID": "1"}
        assert "X-Mailbox-Client" in machine.run("client-headers", env=env).stdout
