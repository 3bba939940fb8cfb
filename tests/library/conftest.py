"""Fixtures of the library's tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio

from support.daemon import DaemonProcess
from support.fixtures import daemon as daemon

Run = Callable[[Callable[[], Awaitable[Any]]], None]


@pytest.fixture
def home(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonProcess]:
    """A running daemon, which is that of our home folder."""
    monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(daemon.home))
    return daemon


@pytest.fixture(params=["trio", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a function on each of the two event loops."""
    if request.param == "trio":
        return lambda function: trio.run(function)
    return lambda function: asyncio.run(function())
