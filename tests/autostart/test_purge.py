"""Purging a home folder deletes what is ours and nothing else."""

import os
import sqlite3
from pathlib import Path

import pytest

from claude_mailbox.autostart.purge import empty_home
from claude_mailbox.errors import AutostartError

FILES = ["mailbox.db", "mailbox.db-wal", "mailbox.json", "mailbox.lock", "daemon.log"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder as a daemon leaves it, with a bell."""
    home = tmp_path / "mail"
    (home / "bells").mkdir(parents=True)
    for name in FILES:
        (home / name).touch()
    (home / "bells" / "1f0e").touch()
    return home


def test_everything_of_ours_goes(home: Path) -> None:
    """All files, the bells and the folder itself."""
    deleted, left = empty_home(str(home))
    assert left == []
    assert not home.exists()
    expected = {*FILES, "bells", "bells/1f0e", "."}
    assert {os.path.relpath(path, home) for path in deleted} == expected


def test_a_file_that_is_not_ours_stays_and_is_named(home: Path) -> None:
    """And so does the folder that it is in."""
    (home / "notes.txt").touch()
    (home / "bells" / "old").mkdir()
    deleted, left = empty_home(str(home))
    assert left == [str(home / "notes.txt"), str(home / "bells" / "old")]
    assert sorted(path.name for path in home.iterdir()) == ["bells", "notes.txt"]
    assert str(home / "mailbox.db") in deleted


def test_a_folder_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    """CLAUDE_MAILBOX_HOME may have pointed anywhere."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mailbox.json").touch()
    sqlite3.connect(folder / "mailbox.db").close()
    assert empty_home(str(folder)) == (
        [],
        [str(folder / "mailbox.db"), str(folder / "mailbox.json")],
    )
    assert len(list(folder.iterdir())) == 2


def test_our_database_makes_a_folder_ours(tmp_path: Path) -> None:
    """Also without a lock file."""
    folder = tmp_path / "project"
    folder.mkdir()
    connection = sqlite3.connect(folder / "mailbox.db")
    connection.execute("PRAGMA application_id = 0x434D4258")
    connection.execute("CREATE TABLE mailbox (id)")
    connection.close()
    assert empty_home(str(folder))[1] == []
    assert not folder.exists()


def test_the_usual_name_makes_a_folder_ours(tmp_path: Path) -> None:
    """A daemon may never have run there."""
    folder = tmp_path / ".claude-mailbox"
    folder.mkdir()
    (folder / "mailbox.json").touch()
    assert empty_home(str(folder))[1] == []
    assert not folder.exists()


def test_links_are_removed_and_not_followed(home: Path, tmp_path: Path) -> None:
    """What a link leads to is somebody else's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter").touch()
    (home / "mailbox.db").unlink()
    (home / "mailbox.db").symlink_to(elsewhere / "letter")
    (home / "bells" / "1f0e").unlink()
    (home / "bells").rmdir()
    (home / "bells").symlink_to(elsewhere)
    _, left = empty_home(str(home))
    assert left == [str(home / "bells")]
    assert list(elsewhere.iterdir()) == [elsewhere / "letter"]


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_to_do(tmp_path: Path, exists: bool) -> None:
    """An empty folder goes, and one that is not there is no error."""
    folder = tmp_path / "mail"
    if exists:
        folder.mkdir()
    assert empty_home(str(folder)) == ([str(folder)] if exists else [], [])
    assert not folder.exists()


def test_what_cannot_be_deleted_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the path, and what to do."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(AutostartError, match=r"Cannot delete .*daemon\.log: Permission denied"):
        empty_home(str(home))
