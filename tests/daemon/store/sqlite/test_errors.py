"""What SQLite's errors mean for people."""

import apsw
import pytest

from claude_mailbox.daemon.store.sqlite.errors import translate
from claude_mailbox.errors import DiskFailed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.FullError(), "disk is full"),
        (apsw.ReadOnlyError(), "cannot be written"),
        (apsw.CorruptError(), "damaged"),
        (apsw.BusyError(), "Another program"),
        (apsw.IOError(), "disk cannot be read"),
        (apsw.SQLError("near x"), "SQLError"),
    ],
)
def test_each_says_what_to_do(error: apsw.Error, words: str) -> None:
    """Every one is a 503 that asks to come back."""
    translated = translate(error, "mailbox.db")
    assert translated.status == 503
    assert translated.retry_after
    assert words in str(translated)
    assert str(translated).endswith(".")


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_SHMSIZE])
def test_after_a_failed_flush_nobody_knows_what_is_stored(code: int) -> None:
    error = apsw.IOError()
    error.extendedresult = code  # type: ignore[attr-defined]
    translated = translate(error, "mailbox.db")
    assert isinstance(translated, DiskFailed)
    assert "mailbox.db" in str(translated)
