"""The launch record, from which the plugin's launcher starts the command."""

import stat
import sys
from pathlib import Path

import pytest

import claude_mailbox
from claude_mailbox.client.hooks.launch_record import write_launch_record

ROOT = str(Path(claude_mailbox.__file__).parents[1])


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the record."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path / "command"


def test_has_the_interpreter_and_the_folder_of_the_package(record: Path) -> None:
    """Only its owner can read it, and no temporary file is left."""
    write_launch_record()
    assert record.read_text() == f"{sys.executable}\n{ROOT}\n"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert list(record.parent.iterdir()) == [record]


def test_is_not_written_again(record: Path) -> None:
    """Every start of a session calls this."""
    write_launch_record()
    before = record.stat()
    write_launch_record()
    assert record.stat().st_ino == before.st_ino


def test_another_record_is_replaced(record: Path) -> None:
    """The command may have been installed again elsewhere."""
    for content in ("/old/python\n/old\n", "\udce9", ""):
        record.write_bytes(content.encode(errors="surrogateescape"))
        write_launch_record()
        assert record.read_text() == f"{sys.executable}\n{ROOT}\n"


def test_is_not_written_if_pythonpath_finds_the_package(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher ignores the variable, and processes that we start would not find the package."""
    monkeypatch.setenv("PYTHONPATH", f"/elsewhere:{ROOT}/")
    write_launch_record()
    assert not record.exists()


def test_failing_to_write_is_not_an_error(record: Path) -> None:
    """The launcher searches for the command then."""
    record.mkdir()
    write_launch_record()
    assert record.is_dir()
