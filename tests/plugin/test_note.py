"""The note from which the launcher starts the command."""

import stat
import sys
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox.client.hooks import launcher

ROOT = str(Path(claude_mailbox.__file__).parents[1])


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the note is to be."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path / "command"


def test_tells_the_interpreter_and_the_package(note: Path) -> None:
    """For its owner alone, and nothing else is left in the folder."""
    launcher.record()
    assert note.read_text() == f"{sys.executable}\n{ROOT}\n"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert list(note.parent.iterdir()) == [note]


def test_is_written_once(note: Path) -> None:
    """Every session's start comes by here."""
    launcher.record()
    before = note.stat()
    launcher.record()
    assert note.stat().st_ino == before.st_ino


def test_follows_the_installation(note: Path) -> None:
    """Another one takes the place of what was there."""
    for content in ("/old/python\n/old\n", "\udce9", ""):
        note.write_bytes(content.encode(errors="surrogateescape"))
        launcher.record()
        assert note.read_text() == f"{sys.executable}\n{ROOT}\n"


def test_is_not_made_for_a_package_that_a_variable_finds(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command starts in turn would not find it without that."""
    monkeypatch.setenv("PYTHONPATH", f"/elsewhere:{ROOT}/")
    launcher.record()
    assert not note.exists()


def test_that_cannot_be_written_is_no_matter(note: Path) -> None:
    """The search works as well."""
    note.mkdir()
    launcher.record()
    assert note.is_dir()
