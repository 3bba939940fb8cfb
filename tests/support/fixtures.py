"""Fixtures to import into a folder's ``conftest.py``."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import DaemonProcess
from support.postgres import MISSING, PostgresServer
from support.stores import ENGINES, POSTGRESQL, PostgresStore, SqliteStore, Store


@pytest.fixture
def daemon() -> Iterator[DaemonProcess]:
    """A running daemon with an empty home; the test fails when it logs a traceback."""
    with DaemonProcess() as process:
        yield process


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for all tests; without one they are skipped, and say so."""
    if MISSING is not None:
        pytest.skip(MISSING)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=ENGINES)
def open_store(request: pytest.FixtureRequest) -> Iterator[Callable[..., Store]]:
    """Opens an empty database of either engine, which is closed at the end."""
    stores: list[Store] = []

    def open_one(**options: Any) -> Store:
        if request.param == POSTGRESQL:
            stores.append(PostgresStore(request.getfixturevalue("postgres"), **options))
        else:
            stores.append(SqliteStore(request.getfixturevalue("scratch"), **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for databases, in memory where the system has that: thousands of commits are fast."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(
        prefix="cmb-",
        dir=memory if os.access(memory, os.W_OK) else None,
        ignore_cleanup_errors=True,
    ) as folder:
        yield Path(folder)
