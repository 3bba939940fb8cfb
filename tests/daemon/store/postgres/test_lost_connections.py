"""What a daemon had begun on a connection that it lost, or in the life before.

Its outcome may be known to nobody. Whatever it was, messages come out in their order.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from claude_mailbox.daemon.process.clock import SteadyClock
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres.engine import PostgresEngine, Thread
from claude_mailbox.model.drafts import Draft
from claude_mailbox.refusals import OutcomeUnknown
from support.postgres import PostgresServer
from support.relay import PostgresRelay

NOW = 1_700_000_000_000
EXPLICIT = NOW + 3_600_000

T = TypeVar("T")
OpenEngine = Callable[..., PostgresEngine]


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """An empty database."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture
def relay(postgres: PostgresServer, scratch: Path) -> Iterator[PostgresRelay]:
    """Between the engine and its server."""
    with PostgresRelay(scratch, postgres.socket_folder) as relay:
        yield relay


@pytest.fixture
def open_engine() -> Iterator[OpenEngine]:
    """Opens engines as daemons do, by address and id."""
    engines: list[PostgresEngine] = []

    def open_engine(url: str, daemon_id: str = "here") -> PostgresEngine:
        engines.append(PostgresEngine(url, daemon_id, "a daemon", SteadyClock(), Thread()))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.connection.close()


def begin(engine: PostgresEngine, *, flush: bool = False) -> Transaction:
    transaction = engine.begin(flush=flush, wait=True)
    assert transaction is not None
    return transaction


def run(engine: PostgresEngine, job: Callable[[Transaction], T], *, flush: bool = False) -> T:
    """Run a job as the ledger does."""
    while True:
        try:
            value = job(begin(engine, flush=flush))
            engine.commit()
        except engine.errors as error:
            engine.rollback()
            if not engine.may_retry(error):
                raise
        else:
            return value


def store(draft: Draft, transaction: Transaction) -> None:
    transaction.mail.send(draft, NOW)


def send(engine: PostgresEngine, *bodies: str) -> None:
    for body in bodies:
        run(engine, partial(store, Draft("ann", "bob", body)), flush=True)


def claim(engine: PostgresEngine, *, limit: int, lease_until: int | None = None) -> list[str]:
    found = run(
        engine,
        lambda t: t.leases.claim("bob", NOW, limit=limit, max_bytes=1000, lease_until=lease_until),
    )
    return [delivery.body for delivery in found.deliveries]


@pytest.mark.parametrize("lease_until", [None, EXPLICIT], ids=["bound", "explicit"])
def test_what_was_claimed_in_a_commit_without_an_answer_is_not_overtaken(
    open_engine: OpenEngine, relay: PostgresRelay, database: str, lease_until: int | None
) -> None:
    engine = open_engine(relay.url(database))
    send(engine, "1", "2", "3")
    relay.cut_after(b"COMMIT")
    with pytest.raises(OutcomeUnknown):
        claim(engine, limit=2, lease_until=lease_until)
    assert claim(engine, limit=2) == ["1", "2"]
    assert claim(engine, limit=2) == ["3"]


def test_a_second_lost_commit_changes_nothing(
    open_engine: OpenEngine, relay: PostgresRelay, database: str
) -> None:
    engine = open_engine(relay.url(database))
    send(engine, "1", "2", "3")
    for _ in range(2):
        relay.cut_after(b"COMMIT")
        with pytest.raises(OutcomeUnknown):
            claim(engine, limit=1)
    assert claim(engine, limit=3) == ["1", "2", "3"]


def test_a_commit_of_the_former_run_does_not_come_later(
    open_engine: OpenEngine, postgres: PostgresServer, database: str
) -> None:
    """The former one was killed: the server may still be at work on its last transaction."""
    former = open_engine(postgres.url(database))
    send(former, "1", "2", "3")
    begin(former).leases.claim("bob", NOW, limit=2, max_bytes=1000)
    present = open_engine(postgres.url(database))
    # As at the start of a daemon.
    assert begin(present).leases.bound_tokens() == set()
    present.commit()
    with pytest.raises(OutcomeUnknown):
        former.commit()
    assert claim(present, limit=2) == ["1", "2"]


def test_another_daemon_is_left_alone(
    open_engine: OpenEngine, postgres: PostgresServer, database: str
) -> None:
    first = open_engine(postgres.url(database), "first")
    send(first, "1", "2")
    begin(first).leases.claim("bob", NOW, limit=1, max_bytes=1000)
    second = open_engine(postgres.url(database), "second")
    first.commit()
    assert claim(second, limit=2) == ["2"]


def test_released_leases_stay_released_after_a_crash_of_the_server(open_engine: OpenEngine) -> None:
    with PostgresServer(wal_writer_delay="10s") as server:
        engine = open_engine(server.url())
        send(engine, "1", "2")
        claimed = run(engine, lambda t: t.leases.claim("bob", NOW, limit=1, max_bytes=1000))
        send(engine, "3")
        run(engine, lambda t: t.leases.release([claimed.deliveries[0].lease]))
        server.stop("immediate")
        server.start()
        assert claim(engine, limit=3) == ["1", "2", "3"]
