"""Whatever a document points at is there."""

from pathlib import Path

import pytest

from docs.markdown import anchors, links
from docs.pages import DOCUMENTS, ROOT


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links(document: Path) -> None:
    """Files and headings that a document points at are there."""
    text = (ROOT / document).read_text()
    for target in links(text):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        path = (ROOT / document).parent / place if place else ROOT / document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), target
