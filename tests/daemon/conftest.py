"""Fixtures of the daemon's tests."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon.kit import World, open_world
from support.fixtures import scratch as scratch


def _run_in_virtual_time(function: Callable[..., Any], **options: Any) -> object:
    options["clock"] = options.get("clock") or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(function, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run every test with a broker in virtual time: its clock stands still by itself."""
    if "world" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))


@pytest.fixture
async def world(scratch: Path) -> AsyncIterator[World]:
    """A broker with an empty database, in virtual time."""
    async with open_world(scratch) as opened:
        yield opened
