"""Fixtures of the session tests."""

from collections.abc import Callable

import pytest

from support.fixtures import daemon as daemon
from support.stores import Store


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    """An empty database of either engine."""
    return open_store()
