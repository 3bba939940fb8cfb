"""What SQLite's errors mean for people."""

import apsw
import pytest

from claude_mailbox.daemon.store.sqlite.errors import translate


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
def test_each_says_what_to_do_and_that_nothing_was_stored(error: apsw.Error, words: str) -> None:
    """Every one is a 503 that asks to come back."""
    translated = translate(error)
    assert translated.status == 503
    assert translated.retry_after
    assert words in str(translated)
    assert str(translated).endswith("Nothing was stored.")
