"""Adding our hooks to a settings file and removing them: the rest stays byte for byte."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.client.settings.handlers import handlers_by_event
from claude_mailbox.client.settings.patch import BACKUP_SUFFIX, MARK, plan
from claude_mailbox.client.settings.patch import write as write_patch
from claude_mailbox.errors import ConfigError

WANTED = handlers_by_event("claude-mailbox", MARK)

# Settings files of different layouts.
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
ONE_LINE = '{"hooks": {"PreCompact": []}, "model": "opus"}'
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
    """The path of the settings file."""
    return tmp_path / ".claude" / "settings.json"


def write(path: Path, text: str) -> None:
    """Write a file without changing its line ends."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())


def install(path: Path, wanted: dict[str, Any] = WANTED) -> bool:
    """Install the hooks; return whether that changed anything."""
    patch = plan(str(path), wanted)
    write_patch(patch)
    return patch.new != patch.old


def uninstall(path: Path) -> bool:
    """Remove the hooks; return whether that changed anything."""
    return install(path, {})


def ours(path: Path) -> dict[str, list[object]]:
    """Return our handlers in the file, by event."""
    found: dict[str, list[object]] = {}
    for event, groups in json.loads(path.read_bytes().decode("utf-8-sig"))["hooks"].items():
        for group in groups:
            for handler in group["hooks"]:
                if handler["command"].endswith(MARK):
                    found.setdefault(event, []).append(handler)
    return found


class TestInstall:
    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_adds_our_hooks_and_changes_nothing_else(self, path: Path, text: str) -> None:
        """All characters of the old file are still there, in their order."""
        write(path, text)
        assert install(path)
        assert ours(path) == WANTED
        left = iter(path.read_bytes().decode())
        missing = [character for character in text if character not in left]
        assert missing == []

    def test_creates_a_missing_file(self, path: Path) -> None:
        """A user may have no settings yet."""
        assert install(path)
        assert json.loads(path.read_text()) == {
            "hooks": {event: [{"hooks": handlers}] for event, handlers in WANTED.items()}
        }

    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_a_second_install_changes_nothing(self, path: Path, text: str) -> None:
        """The file stays byte for byte."""
        write(path, text)
        install(path)
        before = path.read_bytes()
        assert not install(path)
        assert path.read_bytes() == before

    def test_replaces_handlers_that_are_different(self, path: Path) -> None:
        """With another mailbox or another path of the command, the old handlers go."""
        write(path, WITH_HOOKS)
        install(path)
        wanted = handlers_by_event("/new/claude-mailbox", MARK, "backend")
        assert install(path, wanted)
        assert ours(path) == wanted
        uninstall(path)
        assert path.read_text() == WITH_HOOKS

    def test_keeps_a_backup(self, path: Path) -> None:
        """It has the content from before our hooks, and is deleted with them."""
        write(path, PLAIN)
        install(path)
        install(path, handlers_by_event("/new/claude-mailbox", MARK))
        backup = Path(f"{path}{BACKUP_SUFFIX}")
        assert backup.read_text() == PLAIN
        uninstall(path)
        assert not backup.exists()

    def test_keeps_the_mode(self, path: Path) -> None:
        """A private file stays private."""
        write(path, PLAIN)
        path.chmod(0o640)
        install(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_follows_symbolic_links(self, path: Path, tmp_path: Path) -> None:
        """The settings may be a link into a repository of dotfiles."""
        real = tmp_path / "dotfiles.json"
        write(real, PLAIN)
        path.parent.mkdir()
        path.symlink_to(real)
        install(path)
        assert path.is_symlink()
        assert ours(real) == WANTED


class TestUninstall:
    @pytest.mark.parametrize("text", FILES.values(), ids=FILES)
    def test_restores_the_file(self, path: Path, text: str) -> None:
        """Byte for byte; and nothing else is left in the folder."""
        write(path, text)
        install(path)
        assert uninstall(path)
        assert path.read_bytes() == text.encode()
        assert list(path.parent.iterdir()) == [path]

    def test_deletes_a_file_that_we_created(self, path: Path) -> None:
        """If nothing but our hooks is in it."""
        install(path)
        uninstall(path)
        assert not path.parent.exists()

    def test_keeps_what_others_have_added(self, path: Path) -> None:
        """Also hooks before and after ours in the same lists."""
        install(path)
        document = json.loads(path.read_text())
        other = {"type": "command", "command": "claude-mailbox check --hook --name mine"}
        document["hooks"]["SessionStart"].insert(0, {"matcher": "startup", "hooks": [other]})
        document["hooks"]["SessionEnd"][0]["hooks"].append(other)
        document["model"] = "opus"
        write(path, json.dumps(document))
        uninstall(path)
        assert json.loads(path.read_text()) == {
            "hooks": {
                "SessionStart": [{"matcher": "startup", "hooks": [other]}],
                "SessionEnd": [{"hooks": [other]}],
            },
            "model": "opus",
        }

    def test_without_our_hooks_nothing_changes(self, path: Path) -> None:
        """Neither in a file without them, nor if there is no file."""
        assert not uninstall(path)
        assert not path.parent.exists()
        for text in FILES.values():
            write(path, text)
            assert not uninstall(path)
            assert path.read_bytes() == text.encode()


class TestErrors:
    @pytest.mark.parametrize(
        "text",
        [
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
    def test_a_file_that_is_not_valid_settings_is_refused(self, path: Path, text: str) -> None:
        """The sentence names it, nothing is changed, and no backup is made."""
        write(path, text)
        for wanted in (WANTED, {}):
            with pytest.raises(ConfigError, match="is broken") as caught:
                plan(str(path), wanted)
            assert str(path) in str(caught.value)
        assert path.read_text() == text
        assert list(path.parent.iterdir()) == [path]

    def test_a_file_in_another_encoding_is_refused(self, path: Path) -> None:
        """The encoding is not guessed."""
        path.parent.mkdir()
        path.write_bytes(PLAIN.encode("utf-16"))
        with pytest.raises(ConfigError, match="UTF-8"):
            install(path)

    def test_a_folder_in_place_of_the_file_is_refused(self, path: Path) -> None:
        """It cannot be read."""
        path.mkdir(parents=True)
        with pytest.raises(ConfigError, match="Cannot read"):
            install(path)

    def test_a_folder_that_cannot_be_created_is_an_error(self, tmp_path: Path) -> None:
        """A file has its name."""
        (tmp_path / "blocked").write_text("")
        with pytest.raises(ConfigError, match="Cannot"):
            install(tmp_path / "blocked" / "settings.json")

    def test_a_write_that_fails_leaves_the_old_file(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And no temporary file."""
        write(path, PLAIN)

        def fail(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(ConfigError, match="No space left"):
            install(path)
        assert path.read_text() == PLAIN
        assert list(path.parent.iterdir()) == [path]
