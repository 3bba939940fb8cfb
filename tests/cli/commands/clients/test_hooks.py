"""install-hook and uninstall-hook, as processes with a home folder of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox.client.settings import patch as settings_patch
from claude_mailbox.client.settings.patch import MARK
from client.settings.test_patch import ours


class TestInstallHook:
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

    def test_changes_the_settings_of_the_user(self, tmp_path: Path) -> None:
        """A second time there is nothing to change, and uninstall-hook removes the hooks again."""
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

    def test_project_changes_the_settings_at_the_top_of_the_repository(
        self, tmp_path: Path
    ) -> None:
        """The command has no path, because others share these settings."""
        project = tmp_path / "project"
        (project / ".git").mkdir(parents=True)
        (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        deep = project / "deep"
        deep.mkdir()
        self.run(tmp_path, "install-hook", "--project", "--name", "it's me", cwd=deep)
        found = ours(project / ".claude" / "settings.json")
        assert set(found) == {"UserPromptSubmit", "SubagentStop", "TaskCompleted"}
        assert found["UserPromptSubmit"][0]["command"] == (  # type: ignore[index]
            "! command -v claude-mailbox >/dev/null || "
            f"""claude-mailbox check --hook --name 'it'"'"'s me'{MARK}"""
        )

    def test_hooks_run_the_command_by_its_full_path(self, tmp_path: Path) -> None:
        """Hooks have another PATH. If the command is not on ours, they run this interpreter."""
        folder = tmp_path / "my tools"
        folder.mkdir()
        for path, program in (
            (f"{folder}:/usr/bin:/bin", f"'{folder}/claude-mailbox' session-end"),
            ("/usr/bin:/bin", f"{sys.executable} -E -P -m claude_mailbox session-end"),
        ):
            if program.startswith("'"):
                (folder / "claude-mailbox").write_text("#!/bin/sh\n")
                (folder / "claude-mailbox").chmod(0o755)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", path)
                self.run(tmp_path, "install-hook")
            (handler,) = ours(tmp_path / ".claude" / "settings.json")["SessionEnd"]
            assert handler["command"] == program + MARK  # type: ignore[index]

    def test_dry_run_shows_a_diff(self, tmp_path: Path) -> None:
        """And changes nothing."""
        shown = self.run(tmp_path, "install-hook", "--dry-run")
        assert '+    "SessionStart": [' in shown
        assert list(tmp_path.iterdir()) == []

    def test_the_mark_is_a_comment_for_the_shell(self) -> None:
        """It does not change what the command does."""
        done = subprocess.run(["sh", "-c", f"echo ok{MARK}"], capture_output=True, text=True)
        assert done.stdout == "ok\n"
