"""Fixtures to import into a folder's ``conftest.py``."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import DaemonProcess


@pytest.fixture
def daemon() -> Iterator[DaemonProcess]:
    """A running daemon with an empty home; the test fails when it logs a traceback."""
    with DaemonProcess() as process:
        yield process


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for databases, in memory where the system has that: thousands of commits are fast."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(
        prefix="cmb-",
        dir=memory if os.access(memory, os.W_OK) else None,
        ignore_cleanup_errors=True,
    ) as folder:
        yield Path(folder)
