"""The command that autostart starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox import autostart
from claude_mailbox.autostart import current
from claude_mailbox.errors import AutostartError, ConfigError


class TestCurrent:
    def test_runs_this_python_and_serve(self, home: Path) -> None:
        """Without flags: the interpreter, our module and `serve`."""
        program = current()
        assert sys.executable == program.python
        assert program.arguments == ["-E", "-P", "-m", "claude_mailbox", "serve"]

    def test_settings_become_flags_of_serve(self, home: Path, monkeypatch) -> None:
        """With their values."""
        (home / "my.json").write_text("{}")
        flags = {"port": 0, "bind": None, "dbPath": f"{home}/mail.db"}
        program = current(flags, f"{home}/my.json")
        expected = ["--port", "0", "--db-path", f"{home}/mail.db", "--config", f"{home}/my.json"]
        assert expected == list(program.flags)
        assert program.settings().db_path == f"{home}/mail.db"

    def test_a_wrong_configuration_is_an_error_before_anything_is_written(self, home: Path) -> None:
        """The daemon would not start with it."""
        with pytest.raises(ConfigError, match=r"my\.json"):
            autostart.manager(current({}, str(home / "my.json"))).install()
        assert list(home.iterdir()) == []

    def test_has_the_variable_of_the_home_folder(self, home: Path, monkeypatch) -> None:
        """The service manager does not have the variables of this shell."""
        assert {"CLAUDE_MAILBOX_HOME": str(home / "mail")} == current().environment
        monkeypatch.delenv("CLAUDE_MAILBOX_HOME")
        assert current().environment == {}
        assert str(home / ".claude-mailbox") == current().home

    def test_names_its_folder_if_pythonpath_finds_the_package(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The variable itself is left out, with whatever else it has."""
        root = str(Path(claude_mailbox.__file__).parents[1])
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", root]))
        assert root in current().arguments
        assert "PYTHONPATH" not in current().environment
        done = subprocess.run(
            [sys.executable, *current().arguments[:-1], "--version"],
            env={"PYTHONPATH": "/elsewhere"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert claude_mailbox.__version__ in done.stdout
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        assert root not in current().arguments

    @pytest.mark.parametrize("letter", ["\n", "\x1b", "\x7f", "\udc80", "\u2028"])
    def test_refuses_characters_that_no_service_file_can_have(
        self, home: Path, letter: str
    ) -> None:
        """A line break in a path, for example, would start another line."""
        with pytest.raises(AutostartError, match="control character"):
            current({"dbPath": f"/tmp/a{letter}b"})

    def test_accepts_all_other_characters(self, home: Path) -> None:
        """Blanks of any kind, joiners, quotes and emoji."""
        path = "/tmp/a b\u3000\u00a0\u200dü📬%$\"'\\"
        assert path in current({"dbPath": path}).flags

    @pytest.mark.parametrize(
        ("python", "is_noted"),
        [
            ("/home/ann/.cache/uv/archive-v0/x1/bin/python", True),
            ("/home/ann/.local/share/uv/tools/claude-mailbox/bin/python", False),
        ],
    )
    def test_warns_of_a_python_in_a_cache(self, home, monkeypatch, python, is_noted) -> None:
        """It is gone when the cache is cleaned."""
        monkeypatch.setattr(sys, "executable", python)
        assert is_noted == any("cache" in note for note in current().notes())
