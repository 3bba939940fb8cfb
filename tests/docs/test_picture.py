"""docs/picture.svg shows what the commands print."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from docs.pages import DOCS
from support.daemon import PATIENCE_SECONDS

SIZE_LIMIT = 60_000
PICTURE = DOCS / "picture.svg"


def text_of(path: Path) -> list[str]:
    """Return the rows of text of a picture, without what differs from run to run."""
    rows = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return [re.sub(r"\d+", "0", "".join(row.itertext())) for row in rows]


def test_it_is_what_a_run_shows_today(tmp_path: Path) -> None:
    """But for times; ``make picture`` draws it again."""
    again = tmp_path / "picture.svg"
    command = [sys.executable, DOCS / "picture.py", again]
    subprocess.run(command, check=True, timeout=4 * PATIENCE_SECONDS)

    assert text_of(PICTURE) == text_of(again)
    assert "[Claude-Mailbox] A message from peer sessions: not" in text_of(PICTURE)


def test_it_is_small_and_needs_nothing_from_elsewhere() -> None:
    """No fonts, scripts, images or style sheets of other hosts."""
    text = PICTURE.read_text()

    assert len(text.encode()) <= SIZE_LIMIT
    assert text.count("://") == text.count("http://www.w3.org/2000/svg")
    assert not re.search(r"@font-face|@import|<script|<image|href=|url\(", text)
