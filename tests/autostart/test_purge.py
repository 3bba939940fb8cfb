"""Purging a home folder deletes our files and nothing else."""

import os
import sqlite3
from pathlib import Path

import pytest

from claude_mailbox.autostart.purge import purge_home
from claude_mailbox.errors import AutostartError

FILES = ["mailbox.db", "mailbox.db-wal", "mailbox.json", "mailbox.lock", "daemon.log"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder as a daemon leaves it, with a doorbell."""
    home = tmp_path / "mail"
    (home / "bells").mkdir(parents=True)
    for name in FILES:
        (home / name).touch()
    (home / "bells" / "1f0e").touch()
    return home


def test_deletes_all_our_files_and_the_folder(home: Path) -> None:
    """Doorbells are named after sessions."""
    deleted, left = purge_home(str(home))
    assert left == []
    assert not home.exists()
    expected = {*FILES, "bells", "bells/1f0e", "."}
    assert {os.path.relpath(path, home) for path in deleted} == expected


def test_keeps_and_lists_other_files(home: Path) -> None:
    """And the folders that they are in."""
    (home / "notes.txt").touch()
    (home / "bells" / "old").mkdir()
    deleted, left = purge_home(str(home))
    assert left == [str(home / "notes.txt"), str(home / "bells" / "old")]
    assert sorted(path.name for path in home.iterdir()) == ["bells", "notes.txt"]
    assert str(home / "mailbox.db") in deleted


def test_deletes_nothing_in_a_folder_that_is_not_a_home_folder(tmp_path: Path) -> None:
    """CLAUDE_MAILBOX_HOME may be wrong."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mailbox.json").touch()
    sqlite3.connect(folder / "mailbox.db").close()
    assert purge_home(str(folder)) == (
        [],
        [str(folder / "mailbox.db"), str(folder / "mailbox.json")],
    )
    assert len(list(folder.iterdir())) == 2


def test_a_folder_with_our_database_is_a_home_folder(tmp_path: Path) -> None:
    """Also without a lock file."""
    folder = tmp_path / "project"
    folder.mkdir()
    connection = sqlite3.connect(folder / "mailbox.db")
    connection.execute("PRAGMA application_id = 0x434D4258")
    connection.execute("CREATE TABLE mailbox (id)")
    connection.close()
    assert purge_home(str(folder))[1] == []
    assert not folder.exists()


def test_a_folder_with_the_default_name_is_a_home_folder(tmp_path: Path) -> None:
    """Even if no daemon ever ran there."""
    folder = tmp_path / ".claude-mailbox"
    folder.mkdir()
    (folder / "mailbox.json").touch()
    assert purge_home(str(folder))[1] == []
    assert not folder.exists()


def test_does_not_follow_symbolic_links(home: Path, tmp_path: Path) -> None:
    """A link is deleted or kept itself; its target is not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "message").touch()
    (home / "mailbox.db").unlink()
    (home / "mailbox.db").symlink_to(elsewhere / "message")
    (home / "bells" / "1f0e").unlink()
    (home / "bells").rmdir()
    (home / "bells").symlink_to(elsewhere)
    _, left = purge_home(str(home))
    assert left == [str(home / "bells")]
    assert list(elsewhere.iterdir()) == [elsewhere / "message"]


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder(tmp_path: Path, exists: bool) -> None:
    """An empty one is deleted, a missing one is no error."""
    folder = tmp_path / "mail"
    if exists:
        folder.mkdir()
    assert purge_home(str(folder)) == ([str(folder)] if exists else [], [])
    assert not folder.exists()


def test_a_file_that_cannot_be_deleted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has its path."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(AutostartError, match=r"Cannot delete .*daemon\.log: Permission denied"):
        purge_home(str(home))
