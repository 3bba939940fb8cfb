"""Writing and removing files."""

from pathlib import Path

import pytest

from claude_mailbox.autostart.files import remove_file, write_file
from claude_mailbox.errors import AutostartError


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Its folder is a file."""
    (tmp_path / "file").touch()
    with pytest.raises(AutostartError, match=r"Cannot write .*unit: File exists"):
        write_file(str(tmp_path / "file" / "unit"), b"")


def test_a_file_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    """It is a folder."""
    with pytest.raises(AutostartError, match="Cannot remove"):
        remove_file(str(tmp_path))
