"""docs/how-it-is-built.md names the folders that are there."""

import re

from docs.markdown import table
from docs.pages import HOW_IT_IS_BUILT, ROOT
from docs.product import PACKAGE


def test_all_folders_are_there_and_no_others() -> None:
    """Those of the daemon and of its clients."""
    folders = {"library"} | {
        path.parent.relative_to(PACKAGE).as_posix()
        for side in ("daemon", "client")
        for path in PACKAGE.glob(f"{side}/*/__init__.py")
    }

    assert set(table(HOW_IT_IS_BUILT, "Folder").codes("Folder")) == folders


def test_modules_and_files_exist() -> None:
    """Whatever is named with its path."""
    for name in re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)*\.(?:py|txt))`", HOW_IT_IS_BUILT):
        assert (PACKAGE / name).exists() or (ROOT / name).exists(), name
