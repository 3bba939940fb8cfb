"""Fixtures of the tests of leases."""

import pytest

from daemon.kit import Place


@pytest.fixture
def place(both_engines: Place) -> Place:
    """The database of either engine."""
    return both_engines
