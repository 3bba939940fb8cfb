"""Fixtures of the doorbell's tests."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing


def _run_in_virtual_time(function: Callable[..., Any], **options: Any) -> object:
    options["clock"] = options.get("clock") or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(function, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run the doorbell's tests in virtual time: its pauses pass by themselves."""
    if "bells" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))
