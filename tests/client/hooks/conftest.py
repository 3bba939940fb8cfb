"""Fixtures for the tests of hooks."""

from pathlib import Path

import pytest

from client.hooks.session import Session
from support.commandline import CommandLine


@pytest.fixture
def session(shared: CommandLine, tmp_path: Path) -> Session:
    """A session that has not started yet."""
    folder = tmp_path / "shop"
    folder.mkdir()
    return Session(shared, folder)
