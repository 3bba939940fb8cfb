"""Fixtures of the session tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
import trio.testing

from claude_mailbox.daemon.store.sqlite.database import open_database
from support.fixtures import daemon as daemon
from support.fixtures import scratch as scratch


def _run_in_virtual_time(function: Callable[..., Any], **options: Any) -> object:
    options["clock"] = options.get("clock") or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(function, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run the doorbell's tests in virtual time: its pauses pass by themselves."""
    if "bells" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))


@pytest.fixture
def connection(scratch: Path) -> Iterator[apsw.Connection]:
    """An empty database."""
    opened = open_database(str(scratch / "mailbox.db"))
    yield opened
    opened.close()
