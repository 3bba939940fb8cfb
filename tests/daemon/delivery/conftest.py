"""Fixtures of the delivery tests."""

import pytest
import trio

from daemon.delivery.helpers import Watchers
from daemon.kit import World


@pytest.fixture
async def watchers(world: World, nursery: trio.Nursery) -> Watchers:
    """No watches yet; those that are left at the end of the test are cancelled."""
    return Watchers(world, nursery)
