"""What holds for all tests, and fixtures of the modules that lie at the top of the package."""

import gc
import signal
from pathlib import Path

import pytest

from support.fixtures import open_store as open_store
from support.fixtures import postgres as postgres
from support.fixtures import scratch as scratch

# These start no process, or one for all of them: seconds for the whole of them.
FAST = ("daemon/delivery", "daemon/edge", "daemon/http", "daemon/store", "daemon/web", "property")
ROOT = Path(__file__).parent

# Next to nothing of what is imported and collected becomes garbage, and to look for it takes seconds.
gc.disable()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script that starts us in the background has it ignored, and so would every child of ours that
    # a test means to interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast half, by folder."""
    for item in items:
        folder = item.path.parent.relative_to(ROOT).as_posix()
        if folder == "." or folder.startswith(FAST):
            item.add_marker(pytest.mark.fast)


def pytest_collection_finish() -> None:
    """What exists now stays; from here on garbage is looked for."""
    gc.freeze()
    gc.enable()
