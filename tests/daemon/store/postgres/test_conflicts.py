"""Two daemons that want the same mailboxes at the same time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from psycopg import errors as pg

from claude_mailbox.daemon.process.clock import SteadyClock
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres.engine import PostgresEngine, Thread
from claude_mailbox.model.drafts import Draft
from support.commandline import until
from support.postgres import PostgresServer

NOW = 1_700_000_000_000
EXPLICIT = NOW + 3_600_000

Job = Callable[[Transaction], list[str]]


class Daemons:
    """Two daemons with one database, in which bob and eve have two messages each.

    Attributes:
        one, other: their engines.
    """

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._server = server
        self._database = database
        url = server.url(database)
        self.one = PostgresEngine(url, "one", "one", SteadyClock(), Thread())
        self.other = PostgresEngine(url, "other", "other", SteadyClock(), Thread())
        transaction = begin(self.one)
        for name in ("bob", "eve"):
            for number in (1, 2):
                transaction.mail.send(Draft("ann", name, f"{name} {number}"), NOW)
        self.one.commit()

    def wait_until_blocked(self) -> None:
        """Wait until one of them waits for a lock of the other."""
        waiting = (
            "SELECT 1 FROM pg_stat_activity"
            f" WHERE datname = '{self._database}' AND wait_event_type = 'Lock'"
        )
        until(lambda: bool(self._server.execute(waiting)), "a daemon that waits for a lock")

    def is_locked(self, name: str) -> bool:
        """Return whether one of them holds the mailbox."""
        statement = f"SELECT FROM claude_mailbox.mailbox WHERE name = '{name}' FOR UPDATE NOWAIT"
        try:
            self._server.execute(statement, self._database)
        except pg.LockNotAvailable:
            return True
        return False

    def leased(self, name: str) -> list[str]:
        """Lease all of a mailbox to the first one; return the tokens."""
        found = begin(self.one).leases.claim(
            name, NOW, limit=9, max_bytes=1000, lease_until=EXPLICIT
        )
        self.one.commit()
        return [delivery.lease for delivery in found.deliveries]


@pytest.fixture
def daemons(postgres: PostgresServer) -> Iterator[Daemons]:
    """Both of them."""
    database = postgres.create_database()
    daemons = Daemons(postgres, database)
    yield daemons
    for engine in (daemons.one, daemons.other):
        engine.connection.close()
    postgres.drop_database(database)


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], object]], "Future[object]"]]:
    """Runs on a thread what has to wait."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def begin(engine: PostgresEngine) -> Transaction:
    transaction = engine.begin(flush=False, wait=True)
    assert transaction is not None
    return transaction


def claim(name: str, limit: int = 9) -> Job:
    """Return the job that leases the first messages of a mailbox and returns their texts."""

    def job(transaction: Transaction) -> list[str]:
        found = transaction.leases.claim(
            name, NOW, limit=limit, max_bytes=1000, lease_until=EXPLICIT
        )
        return [delivery.body for delivery in found.deliveries]

    return job


def settle(tokens: Sequence[str]) -> Job:
    """Return the job that settles leases and returns those that were held."""
    return lambda transaction: list(transaction.leases.settle(tokens, NOW).done)


def test_a_claim_takes_what_the_one_before_it_left(
    daemons: Daemons, meanwhile: Callable[..., "Future[list[str]]"]
) -> None:
    """It waits for its commit, and does not look before."""
    assert claim("bob", limit=1)(begin(daemons.one)) == ["bob 1"]
    later = meanwhile(lambda: claim("bob", limit=1)(begin(daemons.other)))
    daemons.wait_until_blocked()
    daemons.one.commit()
    assert later.result() == ["bob 2"]


def test_a_settlement_waits_and_then_finds_the_lease_gone(
    daemons: Daemons, meanwhile: Callable[..., "Future[list[str]]"]
) -> None:
    """The other one took the message back and gave it to somebody else."""
    tokens = daemons.leased("bob")
    transaction = begin(daemons.one)
    transaction.leases.release(tokens[:1])
    assert claim("bob")(transaction) == ["bob 1"]
    late = meanwhile(lambda: settle(tokens)(begin(daemons.other)))
    daemons.wait_until_blocked()
    daemons.one.commit()
    assert late.result() == tokens[1:]


@pytest.mark.parametrize("what", ["claim", "settle"])
def test_who_has_locked_one_mailbox_waits_for_no_other(
    what: str, daemons: Daemons, meanwhile: Callable[..., "Future[Transaction]"]
) -> None:
    """Else the two would wait for each other: one begins anew, with all locks that it needs."""
    jobs: dict[str, Job]
    if what == "claim":
        jobs = {name: claim(name) for name in ("bob", "eve")}
        results = {name: [f"{name} 1", f"{name} 2"] for name in jobs}
    else:
        results = {name: daemons.leased(name) for name in ("bob", "eve")}
        jobs = {name: settle(tokens) for name, tokens in results.items()}
    one = begin(daemons.one)
    one.leases.claim("bob", NOW, limit=0, max_bytes=0)
    other = begin(daemons.other)
    assert jobs["eve"](other) == results["eve"]
    with pytest.raises(pg.LockNotAvailable) as conflict:
        jobs["bob"](other)
    assert daemons.other.may_retry(conflict.value)
    daemons.other.rollback()
    assert not daemons.is_locked("eve")

    again = meanwhile(lambda: begin(daemons.other))
    daemons.wait_until_blocked()
    daemons.one.commit()
    other = again.result()
    assert daemons.is_locked("bob")
    assert daemons.is_locked("eve")
    assert (jobs["eve"](other), jobs["bob"](other)) == (results["eve"], results["bob"])
    daemons.other.commit()
    assert not daemons.is_locked("bob")
