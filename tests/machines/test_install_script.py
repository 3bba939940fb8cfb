"""The scripts that install everything in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "install.sh", ROOT / "plugin" / "bin" / "claude-mailbox"]


@pytest.mark.skipif(sys.platform == "win32", reason="a script for sh")
class TestShell:
    def test_a_dry_run_shows_all_steps_and_changes_nothing(self, tmp_path: Path) -> None:
        """Without uv and pipx it makes a virtual environment in the home folder."""
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python3").symlink_to(sys.executable)
        done = subprocess.run(
            ["/bin/sh", ROOT / "install.sh", "--dry-run"],
            env={"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=True,
        )
        venv = tmp_path / ".claude-mailbox" / "venv"
        assert f"-m venv {venv}\n" in done.stdout
        for step in ("pip install", "install-autostart", "doctor"):
            assert step in done.stdout
        assert os.listdir(tmp_path) == ["bin"]

    def test_without_anything_to_install_with_it_is_one_sentence(self, tmp_path: Path) -> None:
        """It says what to install first."""
        done = subprocess.run(
            ["/bin/sh", ROOT / "install.sh"],
            env={"HOME": str(tmp_path), "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("Error: No uv, no pipx and no Python 3.11")

    @pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
    def test_shellcheck_finds_nothing(self, script: Path) -> None:
        """Nor in the plugin's launcher."""
        subprocess.run(["shellcheck", script], check=True)


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="PowerShell is not installed")
def test_a_dry_run_of_powershell_shows_all_steps(tmp_path: Path) -> None:
    """As that of the shell does."""
    done = subprocess.run(
        ["pwsh", "-NoProfile", "-File", ROOT / "install.ps1", "-DryRun"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    for step in ("install", "install-autostart", "doctor"):
        assert step in done.stdout
