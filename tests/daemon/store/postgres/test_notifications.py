"""What daemons tell each other by LISTEN and NOTIFY."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import psycopg
import pytest
import trio
import trio.testing

from claude_mailbox.daemon.store.notifications import Notification
from claude_mailbox.daemon.store.postgres.database import connect
from claude_mailbox.daemon.store.postgres.notifications import Link, Notifications
from support.daemon import PATIENCE_SECONDS
from support.postgres import PostgresServer


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture
async def pair(
    postgres: PostgresServer, database: str, nursery: trio.Nursery
) -> AsyncIterator[tuple[Notifications, AsyncIterator[Notification]]]:
    """What one daemon sends with, and what another receives, once both are connected."""
    one, other = (Notifications(postgres.url(database), name) for name in ("one", "other"))
    with trio.fail_after(PATIENCE_SECONDS):
        received = other.receive()
        nursery.start_soon(other.send)
        assert (await anext(received)).is_beginning
        nursery.start_soon(drain, one)
        nursery.start_soon(one.send)
        # It tells that it is here.
        assert (await anext(received)).other
        yield one, received
    nursery.cancel_scope.cancel()


async def drain(notifications: Notifications) -> None:
    async for _ in notifications.receive():
        pass


async def test_what_is_noted_at_once_goes_together(
    pair: tuple[Notifications, AsyncIterator[Notification]],
) -> None:
    one, received = pair
    one.note_mail("a")
    one.note_mail("b")
    one.note_rename("old", "new")
    notification = await anext(received)
    assert (notification.mail, notification.renamed) == ({"a", "b"}, {("old", "new")})


async def test_many_names_come_in_parts(
    pair: tuple[Notifications, AsyncIterator[Notification]],
) -> None:
    one, received = pair
    names = {f"{'ü' * 60}-{number}" for number in range(100)}
    for name in names:
        one.note_mail(name)
    found: set[str] = set()
    while found != names:
        found |= (await anext(received)).mail


async def test_a_lost_connection_is_replaced(
    postgres: PostgresServer, database: str, pair: tuple[Notifications, AsyncIterator[Notification]]
) -> None:
    _, received = pair
    postgres.cut_connections(database)
    assert (await anext(received)).is_beginning


async def test_the_end_of_the_server_wakes_a_waiting_reader(
    postgres: PostgresServer, database: str, nursery: trio.Nursery
) -> None:
    """libpq closes its socket then, which nobody who waits for it would hear of."""
    connection = connect(postgres.url(database))
    link = Link(connection)
    ended = trio.Event()

    async def wait() -> None:
        with suppress(psycopg.OperationalError):
            while True:
                await link.payloads()
        ended.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    postgres.cut_connections(database)
    # Without a turn of the event loop.
    with suppress(psycopg.OperationalError):
        while True:
            connection.pgconn.consume_input()
    with trio.fail_after(PATIENCE_SECONDS):
        await ended.wait()
    link.close()
