"""Fixtures of the daemon's tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon.kit import Place, World, open_world
from support.fixtures import scratch as scratch
from support.postgres import PostgresServer
from support.stores import ENGINES, SQLITE, PostgresStore, empty


def _run_in_virtual_time(function: Callable[..., Any], **options: Any) -> object:
    options["clock"] = options.get("clock") or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(function, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run every test with a broker in virtual time: its clock stands still by itself."""
    if "world" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))


@pytest.fixture
def place(scratch: Path) -> Place:
    """Where the database is; tests of what an engine does have `both_engines` in its place."""
    return scratch


@pytest.fixture(scope="session")
def administrator(postgres: PostgresServer) -> Iterator[PostgresStore]:
    """The database of the tests on PostgreSQL; connecting anew to empty it would take longer."""
    store = PostgresStore(postgres)
    yield store
    store.close()


@pytest.fixture(params=ENGINES)
def both_engines(request: pytest.FixtureRequest, scratch: Path) -> Place:
    """Where the database of either engine is."""
    if request.param == SQLITE:
        return scratch
    empty(request.getfixturevalue("administrator").connection)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server


@pytest.fixture
async def world(place: Place) -> AsyncIterator[World]:
    """A broker with an empty database, in virtual time."""
    async with open_world(place) as opened:
        yield opened
