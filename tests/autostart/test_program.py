"""What autostart starts."""

import os
import sys
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox import autostart
from claude_mailbox.autostart import current
from claude_mailbox.errors import AutostartError, ConfigError


class TestCurrent:
    def test_runs_this_python_and_serve(self, home: Path) -> None:
        """Without flags it is this interpreter, our module and `serve`."""
        program = current()
        assert sys.executable == program.python
        assert program.arguments == ["-P", "-m", "claude_mailbox", "serve"]

    def test_flags_become_those_of_serve(self, home: Path, monkeypatch) -> None:
        """Flags are spelled as `serve` spells them, and paths are made absolute."""
        monkeypatch.chdir(home)
        (home / "my.json").write_text("{}")
        program = current({"port": 0, "bind": None, "dbPath": "mail.db"}, "my.json")
        expected = ["--port", "0", "--db-path", f"{home}/mail.db", "--config", f"{home}/my.json"]
        assert expected == list(program.flags)
        assert program.settings().db_path == f"{home}/mail.db"

    def test_a_wrong_configuration_is_found_before_anything_is_written(self, home: Path) -> None:
        """The daemon would not start with it, so nothing is installed."""
        with pytest.raises(ConfigError, match=r"my\.json"):
            autostart.manager(current({}, str(home / "my.json"))).install()
        assert list(home.iterdir()) == []

    def test_carries_the_home_folder_when_it_was_moved(self, home: Path, monkeypatch) -> None:
        """A service manager does not know the variables of this shell."""
        assert {"CLAUDE_MAILBOX_HOME": str(home / "mail")} == current().environment
        monkeypatch.delenv("CLAUDE_MAILBOX_HOME")
        assert current().environment == {}
        assert str(home / ".claude-mailbox") == current().home

    def test_carries_the_path_of_a_checkout(self, home: Path, monkeypatch) -> None:
        """PYTHONPATH is carried as far as the package is found by it, and no further."""
        root = str(Path(claude_mailbox.__file__).parents[1])
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", root]))
        assert root == current().environment["PYTHONPATH"]
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        assert "PYTHONPATH" not in current().environment

    @pytest.mark.parametrize("letter", ["\n", "\x1b", "\x7f", "\udc80", "\u2028"])
    def test_refuses_what_no_service_file_can_hold(self, home: Path, letter: str) -> None:
        """A line break in a path would become a line of its own."""
        with pytest.raises(AutostartError, match="control character"):
            current({"dbPath": f"/tmp/a{letter}b"})

    def test_takes_any_other_letter(self, home: Path) -> None:
        """Blanks of any kind, joiners and emoji are fine."""
        path = "/tmp/a b\u3000\u00a0\u200dü📬%$\"'\\"
        assert path in current({"dbPath": path}).flags

    @pytest.mark.parametrize(
        ("python", "is_noted"),
        [
            ("/home/ann/.cache/uv/archive-v0/x1/bin/python", True),
            ("/home/ann/.local/share/uv/tools/claude-mailbox/bin/python", False),
        ],
    )
    def test_notes_a_python_that_will_go(self, home, monkeypatch, python, is_noted) -> None:
        """An interpreter in a cache works until the cache is cleaned."""
        monkeypatch.setattr(sys, "executable", python)
        assert is_noted == any("cache" in note for note in current().notes())
