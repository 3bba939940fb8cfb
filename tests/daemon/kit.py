"""A broker and what it stands on, without sockets: a real database, in virtual time."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import trio

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.housekeeping import Housekeeping
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.routing import MailRoute
from claude_mailbox.daemon.http.asgi import Receive, Scope, Send
from claude_mailbox.daemon.process.clock import SteadyClock
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.postgres.engine import PostgresEngine
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from support.postgres import PostgresServer
from support.stores import create_sqlite

T = TypeVar("T")
# Where the database is: in a folder, or the one for such tests on a server.
Place: TypeAlias = Path | PostgresServer

_numbers = itertools.count(1)
EPOCH = 1_700_000_000_000
STATES = ("waiting", "leased", "delivered", "delayed", "held", "expired", "parked", "deleted")


class InlineWorker:
    """Runs functions in the event loop, between two turns of it, as a hop onto a thread would.

    The virtual clock may jump while a real thread works, so tests that use it need this one.
    """

    async def run(self, function: Callable[[], T]) -> T:
        """Return what *function* returns."""
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            try:
                return function()
            finally:
                await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Nothing to close."""


class RecordingBell:
    """A bell that only notes which mailboxes it was rung for.

    Attributes:
        rung: names, in order.
    """

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, mailbox: str) -> None:
        """Mail waits that nobody stands in line for."""
        self.rung.append(mailbox)

    def looking(self, mailbox: str) -> None:
        """Somebody begins to look."""

    def looked(self, mailbox: str) -> None:
        """Somebody has looked."""


@dataclass(frozen=True)
class World:
    """A broker and what it stands on."""

    engine: SqliteEngine | PostgresEngine
    ledger: Ledger
    lines: WaiterLines
    presence: Presence
    broker: Broker
    housekeeping: Housekeeping
    bell: RecordingBell
    place: Place

    @property
    def connection(self) -> Any:
        """The connection to the database."""
        return self.engine.connection

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that both engines know; bodies as text."""
        rows = self.connection.execute(statement).fetchall()
        return [
            tuple(field.decode() if isinstance(field, bytes) else field for field in row)
            for row in rows
        ]

    def states(self) -> dict[str, str]:
        """Return the state of every message, by body."""
        rows = self.query(
            "SELECT text, state FROM message JOIN body ON message_id = id ORDER BY id"
        )
        return {body: STATES[state] for body, state in rows}

    def bound(self) -> set[str]:
        """Return the tokens of the leases that the database holds, explicit ones too."""
        rows = self.query("SELECT id, lease FROM message WHERE state = 1")
        return {f"{number}-{nonce}" for number, nonce in rows}

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let the database refuse every write, as on a disk that was mounted read-only."""
        setting = (
            "PRAGMA query_only"
            if isinstance(self.engine, SqliteEngine)
            else "SET default_transaction_read_only"
        )
        self.connection.execute(f"{setting} = on")
        try:
            yield
        finally:
            self.connection.execute(f"{setting} = off")


def virtual_clock() -> int:
    """Return milliseconds since the epoch, going with trio's clock."""
    return EPOCH + round(trio.current_time() * 1000)


def _open_engine(place: Place, max_mailboxes: int) -> SqliteEngine | PostgresEngine:
    worker = InlineWorker()
    if isinstance(place, PostgresServer):
        url = place.url(place.scratch_database())
        name = f"daemon-{next(_numbers)}"
        return PostgresEngine(url, name, name, SteadyClock(), worker, max_mailboxes=max_mailboxes)
    path = place / "mailbox.db"
    connection = open_database(str(path)) if path.exists() else create_sqlite(path)
    return SqliteEngine(connection, worker, max_mailboxes=max_mailboxes)


@asynccontextmanager
async def open_world(place: Place, **settings: int) -> AsyncIterator[World]:
    """Open the database and run the ledger; *settings* are fields of ``Config``."""
    config = Config(**settings)
    engine = _open_engine(place, config.max_mailboxes)
    try:
        ledger = Ledger(engine)
        lines = WaiterLines(config.max_waiters_per_mailbox)
        presence = Presence(ledger, virtual_clock)
        bell = RecordingBell()
        broker = Broker(ledger, lines, presence, config, virtual_clock, bell)
        housekeeping = Housekeeping(ledger, broker, lines, presence, config, virtual_clock)
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            try:
                yield World(engine, ledger, lines, presence, broker, housekeeping, bell, place)
            finally:
                ledger.close()
    finally:
        await engine.close()


def custody(lease_seconds: float | None = None) -> Custody:
    """Return a custodian that takes leases of that kind."""
    custodian = Custody()
    custodian.lease_seconds = lease_seconds
    return custodian


async def respond(route: MailRoute, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a route that answers for its mail itself, as the application does."""
    response = await route.respond(Request(scope, b""), Custody())
    await response(scope, receive, send)
