"""Fixtures for the tests of autostart."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autostart.user_manager import Unavailable, UserManager
from claude_mailbox.autostart import Program, current
from support.fixtures import daemon as daemon


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home in a temporary folder, with the daemon's home folder in it."""
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("USERPROFILE", str(user))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(user / "mail"))
    return user


@pytest.fixture
def program(home: Path) -> Program:
    """The present program, with port 0, which is not checked."""
    return current({"port": 0})


@pytest.fixture(scope="session")
def user_manager() -> Iterator[UserManager]:
    """A real systemd user manager; tests are skipped, with the reason, if there can be none."""
    # The path of pytest's folder is too long for sockets.
    with tempfile.TemporaryDirectory(prefix="cmb-") as folder:
        manager = UserManager(Path(folder))
        try:
            manager.start()
        except Unavailable as reason:
            pytest.skip(f"no systemd user manager: {reason}")
        try:
            yield manager
        finally:
            manager.close()
