"""install-hook and uninstall-hook: ours goes in and out, the rest stays byte for byte."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.client.settings import patch as settings_patch
from claude_mailbox.client.settings.entries import entries
from claude_mailbox.errors import ConfigError

WANTED = entries("claude-mailbox", settings_patch.MARK)

# Files as people have them.
PLAIN = '{\n  "model": "opus",\n  "permissions": {\n    "allow": ["Bash(ls:*)"]\n  }\n}\n'
WITH_HOOKS = """{
    "hooks": {
        "UserPromptSubmit": [
            { "hooks": [ {"type": "command", "command": "claude-mailbox check --hook"} ] }
        ],
        "PreToolUse": [ {"matcher": "Bash", "hooks": [{"type": "command", "command": "guard"}]} ]
    },
    "env": {"A": "ü"}
}"""
ONE_LINE = '{"hooks": {"Stop": []}, "model": "opus"}'
FILES = {
    "plain": PLAIN,
    "with hooks": WITH_HOOKS,
    "one line": ONE_LINE,
    "empty": "{}",
    "empty with a line end": "{}\n",
    "tabs and CRLF": PLAIN.replace("  ", "\t").replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + PLAIN,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the settings are to be."""
    return tmp_path / ".claude" / "settings.json"


def write(path: Path, text: str) -> None:
    """Write a file as it is, line ends included."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())


def install(path: Path, wanted: dict[str, Any] = WANTED) -> bool:
    """Install the hooks; return whether that changed anything."""
    patch = settings_patch.plan(str(path), wanted)
    settings_patch.write(patch)
    return patch.new != patch.old


def uninstall(path: Path) -> bool:
    """Take the hooks out; return whether that changed anything."""
    return install(path, {})


def ours(path: Path) -> dict[str, list[object]]:
    """Return our handlers in the file by event, and nobody else's."""
    found: dict[str, list[object]] = {}
    for event, groups in json.loads(path.read_bytes().decode("utf-8-sig"))["hooks"].items():
        for group in groups:
            for handler in group["hooks"]:
                if handler["command"].endswith(settings_patch.MARK):
                    found.setdefault(event, []).append(handler)
    return found


class TestInstall:
    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_adds_our_hooks_and_changes_nothing_else(self, path: Path, text: str) -> None:
        """Every line of the file is still there, in its order."""
        write(path, text)
        assert install(path)
        assert ours(path) == WANTED
        left = iter(path.read_bytes().decode())
        missing = [character for character in text if character not in left]
        assert missing == []

    def test_makes_the_file(self, path: Path) -> None:
        """A user without settings has some then."""
        assert install(path)
        assert json.loads(path.read_text()) == {
            "hooks": {event: [{"hooks": handlers}] for event, handlers in WANTED.items()}
        }

    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_twice_is_as_good_as_once(self, path: Path, text: str) -> None:
        """The second time there is nothing to do."""
        write(path, text)
        install(path)
        before = path.read_bytes()
        assert not install(path)
        assert path.read_bytes() == before

    def test_replaces_what_is_different(self, path: Path) -> None:
        """Another mailbox or another place of the command: the old entries go."""
        write(path, WITH_HOOKS)
        install(path)
        wanted = entries("/new/claude-mailbox", settings_patch.MARK, "backend")
        assert install(path, wanted)
        assert ours(path) == wanted
        uninstall(path)
        assert path.read_text() == WITH_HOOKS

    def test_keeps_a_copy(self, path: Path) -> None:
        """Of what was there before us, until we are gone."""
        write(path, PLAIN)
        install(path)
        install(path, entries("/new/claude-mailbox", settings_patch.MARK))
        backup = Path(f"{path}{settings_patch.BACKUP_SUFFIX}")
        assert backup.read_text() == PLAIN
        uninstall(path)
        assert not backup.exists()

    def test_keeps_the_mode(self, path: Path) -> None:
        """A private file stays private."""
        write(path, PLAIN)
        path.chmod(0o640)
        install(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_follows_links(self, path: Path, tmp_path: Path) -> None:
        """Settings may lie in a repository of dotfiles."""
        real = tmp_path / "dotfiles.json"
        write(real, PLAIN)
        path.parent.mkdir()
        path.symlink_to(real)
        install(path)
        assert path.is_symlink()
        assert ours(real) == WANTED


class TestUninstall:
    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_brings_the_file_back(self, path: Path, text: str) -> None:
        """To the byte; and nothing else is left in the folder."""
        write(path, text)
        install(path)
        assert uninstall(path)
        assert path.read_bytes() == text.encode()
        assert list(path.parent.iterdir()) == [path]

    def test_removes_a_file_that_we_made(self, path: Path) -> None:
        """If nobody wrote anything into it."""
        install(path)
        uninstall(path)
        assert list(path.parent.iterdir()) == []

    def test_leaves_what_others_added_meanwhile(self, path: Path) -> None:
        """Before, behind and among our own."""
        install(path)
        document = json.loads(path.read_text())
        stranger = {"type": "command", "command": "claude-mailbox check --hook --name mine"}
        document["hooks"]["SessionStart"].insert(0, {"matcher": "startup", "hooks": [stranger]})
        document["hooks"]["SessionEnd"][0]["hooks"].append(stranger)
        document["model"] = "opus"
        write(path, json.dumps(document))
        uninstall(path)
        assert json.loads(path.read_text()) == {
            "hooks": {
                "SessionStart": [{"matcher": "startup", "hooks": [stranger]}],
                "SessionEnd": [{"hooks": [stranger]}],
            },
            "model": "opus",
        }

    def test_without_hooks_changes_nothing(self, path: Path) -> None:
        """Neither a file without ours, nor a folder without a file."""
        assert not uninstall(path)
        assert not path.parent.exists()
        for text in FILES.values():
            write(path, text)
            assert not uninstall(path)
            assert path.read_bytes() == text.encode()


class TestRefusal:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            PLAIN + "}",
            PLAIN.replace('"opus",', '"opus", // mine'),
            "[]",
            '{"hooks": []}',
            '{"hooks": {"Stop": {}}}',
            '{"hooks": {"Stop": ["x"]}}',
            '{"hooks": {"Stop": [{"command": "x"}]}}',
            '{"hooks": {}, "hooks": {}}',
        ],
    )
    def test_of_a_broken_file(self, path: Path, text: str) -> None:
        """It is named, nothing is changed, and no copy is made."""
        write(path, text)
        for wanted in (WANTED, {}):
            with pytest.raises(ConfigError, match="is broken") as caught:
                settings_patch.plan(str(path), wanted)
            assert str(path) in str(caught.value)
        assert path.read_text() == text
        assert list(path.parent.iterdir()) == [path]

    def test_of_another_encoding(self, path: Path) -> None:
        """Rather than to guess."""
        path.parent.mkdir()
        path.write_bytes(PLAIN.encode("utf-16"))
        with pytest.raises(ConfigError, match="UTF-8"):
            install(path)

    def test_of_a_folder(self, path: Path) -> None:
        """Whatever the system says about it."""
        path.mkdir(parents=True)
        with pytest.raises(ConfigError, match="Cannot read"):
            install(path)

    def test_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        """A file stands where the folder should be."""
        (tmp_path / "blocked").write_text("")
        with pytest.raises(ConfigError, match="Cannot"):
            install(tmp_path / "blocked" / "settings.json")

    def test_leaves_no_temporary_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the disk fails in the middle, the old file is what there is."""
        write(path, PLAIN)

        def fail(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(ConfigError, match="No space left"):
            install(path)
        assert path.read_text() == PLAIN
        assert list(path.parent.iterdir()) == [path]


class TestCommands:
    @staticmethod
    def run(home: Path, *arguments: str, cwd: Path | None = None) -> str:
        """Run a command as a user with that home folder; return what it prints."""
        inherited = {key: value for key, value in os.environ.items() if "CLAUDE" not in key}
        source = str(Path(settings_patch.__file__).parents[3])
        done = subprocess.run(
            [sys.executable, "-m", "claude_mailbox", *arguments],
            env={**inherited, "HOME": str(home), "PYTHONPATH": source},
            cwd=cwd or home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_for_the_user(self, tmp_path: Path) -> None:
        """In the home folder, from wherever it is run; and out again."""
        settings = tmp_path / ".claude" / "settings.json"
        assert str(settings) in self.run(tmp_path, "install-hook")
        commands = [
            handler["command"]  # type: ignore[index]
            for handlers in ours(settings).values()
            for handler in handlers
        ]
        assert any("session-announce" in command for command in commands)
        report = json.loads(self.run(tmp_path, "install-hook", "--json"))
        assert report["changed"] is False
        self.run(tmp_path, "uninstall-hook")
        assert not settings.exists()

    def test_for_the_project(self, tmp_path: Path) -> None:
        """At the top of its repository, with a command that others have in other places."""
        project = tmp_path / "project"
        (project / ".git").mkdir(parents=True)
        (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        deep = project / "deep"
        deep.mkdir()
        self.run(tmp_path, "install-hook", "--project", "--name", "it's me", cwd=deep)
        found = ours(project / ".claude" / "settings.json")
        assert set(found) == {"UserPromptSubmit", "SubagentStop", "TaskCompleted"}
        assert found["UserPromptSubmit"][0]["command"] == (  # type: ignore[index]
            f"""claude-mailbox check --hook --name 'it'"'"'s me'{settings_patch.MARK}"""
        )

    def test_runs_the_command_that_the_user_has(self, tmp_path: Path) -> None:
        """By its full path, for hooks have a PATH of their own; or this interpreter without it."""
        folder = tmp_path / "my tools"
        folder.mkdir()
        for path, program in (
            (f"{folder}:/usr/bin:/bin", f"'{folder}/claude-mailbox' session-end"),
            ("/usr/bin:/bin", f"{sys.executable} -P -m claude_mailbox session-end"),
        ):
            if program.startswith("'"):
                (folder / "claude-mailbox").write_text("#!/bin/sh\n")
                (folder / "claude-mailbox").chmod(0o755)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", path)
                self.run(tmp_path, "install-hook")
            (handler,) = ours(tmp_path / ".claude" / "settings.json")["SessionEnd"]
            assert handler["command"] == program + settings_patch.MARK  # type: ignore[index]

    def test_dry_run_only_shows(self, tmp_path: Path) -> None:
        """What would be added, as a diff; and nothing is written."""
        shown = self.run(tmp_path, "install-hook", "--dry-run")
        assert '+    "SessionStart": [' in shown
        assert list(tmp_path.iterdir()) == []

    def test_the_shell_takes_the_mark_for_a_comment(self) -> None:
        """So it changes nothing about the command."""
        done = subprocess.run(
            ["sh", "-c", f"echo ok{settings_patch.MARK}"], capture_output=True, text=True
        )
        assert done.stdout == "ok\n"
