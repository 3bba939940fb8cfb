"""Fixtures: a talk, with the tasks of the daemon that watch the time."""

import pytest
import trio

from daemon.delivery.conversation.talk import Talk
from daemon.kit import Place, World


@pytest.fixture
def place(both_engines: Place) -> Place:
    """The database of either engine."""
    return both_engines


@pytest.fixture
async def talk(world: World, nursery: trio.Nursery) -> Talk:
    """A talk in virtual time."""
    nursery.start_soon(world.broker.expiry.serve)
    nursery.start_soon(world.broker.unanswered.serve)
    return Talk(world)
