"""A broker and what it stands on, without sockets: a real database, in virtual time."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw
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
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from support.stores import create_sqlite

T = TypeVar("T")

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

    connection: apsw.Connection
    ledger: Ledger
    lines: WaiterLines
    presence: Presence
    broker: Broker
    housekeeping: Housekeeping
    bell: RecordingBell
    folder: Path

    def states(self) -> dict[str, str]:
        """Return the state of every message, by body."""
        return {
            body: STATES[state]
            for body, state in self.connection.execute(
                "SELECT text, state FROM message JOIN body ON message_id = id ORDER BY id"
            )
        }

    def bound(self) -> set[str]:
        """Return the tokens of the leases that the database holds, explicit ones too."""
        return {
            f"{number}-{nonce}"
            for number, nonce in self.connection.execute(
                "SELECT id, lease FROM message WHERE state = 1"
            )
        }

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let SQLite refuse every write, as on a disk that was mounted read-only."""
        self.connection.pragma("query_only", True)
        try:
            yield
        finally:
            self.connection.pragma("query_only", False)


def virtual_clock() -> int:
    """Return milliseconds since the epoch, going with trio's clock."""
    return EPOCH + round(trio.current_time() * 1000)


@asynccontextmanager
async def open_world(folder: Path, **settings: int) -> AsyncIterator[World]:
    """Open the database in *folder* and run the ledger; *settings* are fields of ``Config``."""
    path = folder / "mailbox.db"
    connection = open_database(str(path)) if path.exists() else create_sqlite(path)
    config = Config(**settings)
    engine = SqliteEngine(connection, InlineWorker(), max_mailboxes=config.max_mailboxes)
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
                yield World(connection, ledger, lines, presence, broker, housekeeping, bell, folder)
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
