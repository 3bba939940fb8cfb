"""The unit file: its text, and how systemd understands it."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from autostart.user_manager import UserManager
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.systemd import exec_line, unit_text

SPECIAL_WORDS = [
    "plain",
    "two words",
    "100%",
    "%h and %%",
    "$HOME",
    "${HOME}",
    "a$b$$c",
    'say "hi"',
    "it's",
    "back\\slash\\",
    "\\x41 \\n",
    "ünïcödé 📬",
    ";",
    "-",
    "@:+!",
    "#",
    "",
]

# A program that writes its arguments and a variable to a file.
PROBE = """#!{python}
import json, os, sys
with open({place!r}, "w") as file:
    json.dump([sys.argv, os.environ.get("CLAUDE_MAILBOX_HOME")], file)
"""

EXPECTED = """\
# Written by 'claude-mailbox install-autostart', removed by 'uninstall-autostart'.
[Unit]
Description=claude-mailbox: mail between coding-agent sessions
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart="/opt/py thon" "-E" "-P" "-m" "claude_mailbox" "serve" "--port" "0"
Environment="CLAUDE_MAILBOX_HOME=/home/a%%b"
Restart=on-failure
RestartSec=1
RestartSteps=8
RestartMaxDelaySec=60
TimeoutStopSec=20
UMask=0077

[Install]
WantedBy=default.target
"""


class TestText:
    def test_with_back_off(self, program: Program) -> None:
        """The whole file, for a version of systemd that supports it."""
        program = dataclasses.replace(
            program, python="/opt/py thon", environment={"CLAUDE_MAILBOX_HOME": "/home/a%b"}
        )
        assert unit_text(program, 254) == EXPECTED

    def test_without_back_off(self, program: Program) -> None:
        """An older version does not know the keys, and gives up after 20 failures instead."""
        text = unit_text(program, 253)
        assert "RestartSteps" not in text
        assert "StartLimitBurst=20" in text

    def test_the_prefix_against_variables_is_used_only_for_a_dollar_sign(self) -> None:
        """Older versions do not know it."""
        assert exec_line(["/bin/a b"]) == '"/bin/a b"'
        assert exec_line(["/bin/a", "$b"]) == ':"/bin/a" "$b"'


class TestSystemd:
    @pytest.mark.parametrize("without", ["", "$", "\"'\\", "$\"'\\"])
    def test_starts_the_program_with_exactly_its_arguments(
        self, user_manager: UserManager, program: Program, tmp_path: Path, without: str
    ) -> None:
        """The path, the arguments and the environment arrive unchanged.

        Some characters need another form of the line. They are left out in turn, so that each form
        is tested.
        """
        words = [word for word in SPECIAL_WORDS if not set(word) & set(without)]
        folder = tmp_path / "".join(words).replace("/", "")
        folder.mkdir()
        seen, probe = tmp_path / "seen.json", folder / "py thon"
        probe.write_text(PROBE.format(python=sys.executable, place=str(seen)))
        probe.chmod(0o755)
        program = dataclasses.replace(
            program,
            python=str(probe),
            flags=tuple(words),
            environment={"CLAUDE_MAILBOX_HOME": str(folder)},
        )
        units = user_manager.home / ".config" / "systemd" / "user"
        units.mkdir(parents=True, exist_ok=True)
        (units / "probe.service").write_text(unit_text(program, 252))
        user_manager.systemctl("daemon-reload")
        done = user_manager.run(["systemctl", "--user", "start", "--wait", "probe.service"])
        (units / "probe.service").unlink()
        assert (done.returncode, done.stderr) == (0, "")
        assert [[str(probe), *program.arguments], str(folder)] == json.loads(seen.read_text())

    def test_analyze_accepts_the_unit(
        self, user_manager: UserManager, program: Program, tmp_path: Path
    ) -> None:
        """`systemd-analyze verify` has no warnings about the unit for its version."""
        version = int(user_manager.systemctl("show", "--property=Version")[8:].split(".")[0])
        path = tmp_path / "claude-mailbox.service"
        path.write_text(unit_text(program, version))
        done = user_manager.run(["systemd-analyze", "--user", "verify", str(path)])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_analyze_reports_a_wrong_key(
        self, user_manager: UserManager, program: Program, tmp_path: Path
    ) -> None:
        """So the test before this one can fail."""
        path = tmp_path / "claude-mailbox.service"
        path.write_text(unit_text(program, 252).replace("UMask=", "Umask="))
        done = user_manager.run(["systemd-analyze", "--user", "verify", str(path)])
        assert "Umask" in done.stderr
