"""The daemon is killed or stopped at random moments, again and again, with everybody at work.

``MAILBOX_CRASH_ROUNDS=300`` makes it long; ``MAILBOX_CRASH_SEED`` repeats the moments of a run.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import apsw
import pytest
import trio

from crash.crowd import Book, Outlet, check, follow, send_and_forget, send_with_keys, watch
from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.postgres import PostgresServer
from support.stores import POSTGRESQL, SQLITE
from wire.conftest import address_of
from wire.connection import path
from wire.mail import Mail

ROUNDS = int(os.environ.get("MAILBOX_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("MAILBOX_CRASH_SEED", "0")) or random.SystemRandom().randrange(2**32)

RECEIVERS = {"watched": watch, "checked": check, "followed": follow}


async def end_at_random(
    daemon: DaemonProcess,
    end: Callable[[], object],
    outlet: Outlet,
    work: int,
    dice: random.Random,
) -> None:
    """Let some *work* be done, end the daemon in the middle of it, and start it again."""
    goal = outlet.book.events + work
    while outlet.book.events < goal:
        await outlet.book.progress()
    for _ in range(dice.randrange(20)):
        await trio.lowlevel.checkpoint()
    outlet.is_up = trio.Event()
    await trio.to_thread.run_sync(end)
    await trio.to_thread.run_sync(daemon.start)
    outlet.is_up.set()


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[DaemonProcess]:
    """A running daemon on the engine of the parameter."""
    if request.param == SQLITE:
        with DaemonProcess() as process:
            yield process
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    database = server.create_database()
    with DaemonProcess({"databaseUrl": server.url(database)}) as process:
        yield process
    server.drop_database(database)


@pytest.mark.parametrize(
    ("name", "served"),
    [("kill", SQLITE), ("stop", SQLITE), ("kill", POSTGRESQL)],
    indirect=["served"],
)
async def test_nothing_is_lost_and_nothing_acked_comes_back(
    served: DaemonProcess, name: str
) -> None:
    """What was answered is received, what was acked came once, and order held."""
    print(f"MAILBOX_CRASH_SEED={SEED}")
    dice = random.Random(SEED)
    book = Book()
    outlet = Outlet(served, book)
    outlet.is_up.set()
    async with trio.open_nursery() as receivers:
        for mailbox, receive in RECEIVERS.items():
            receivers.start_soon(receive, outlet, mailbox)
        stop = trio.Event()
        async with trio.open_nursery() as senders:
            for mailbox in RECEIVERS:
                senders.start_soon(send_with_keys, outlet, f"sure of {mailbox}", mailbox, stop)
                senders.start_soon(send_and_forget, outlet, f"light of {mailbox}", mailbox, stop)
            # Long lives and short ones, in any order.
            lives = [(1, 2, 5, 20, 60, 150)[number % 6] for number in range(ROUNDS)]
            for work in dice.sample(lives, ROUNDS):
                await end_at_random(served, getattr(served, name), outlet, work, dice)
            stop.set()
        while book.missing:
            with trio.fail_after(PATIENCE_SECONDS):
                await book.progress()
        receivers.cancel_scope.cancel()

    sent, repeated = (
        sum(map(len, book.answered.values())),
        len(book.received) - len({number for _, number, _ in book.received}),
    )
    print(f"{sent} sends answered, {len(book.acked)} acks, {repeated} deliveries repeated")
    assert book.mistakes == []
    assert len(book.acked) > ROUNDS
    for sent in book.answered.values():
        assert len(sent) > 1
        assert all(first < second for first, second in pairwise(sent)), "sent in order"
    for mailbox in ("checked", "followed"):
        # These leases end with the daemon, so nothing is ever overtaken.
        order = book.first_deliveries(mailbox)
        assert order == sorted(order)
    fresh = [number for box, number, attempts in book.received if (box, attempts) == ("watched", 1)]
    assert fresh == sorted(fresh)
    if name == "stop":
        # Whoever has his response has his mail: an orderly end settles before it ends.
        checked = [number for box, number, _ in book.received if box == "checked"]
        assert len(checked) == len(set(checked))

    assert await trio.to_thread.run_sync(served.stop) == 0
    if "databaseUrl" not in served.settings:
        assert_is_sound(served, book)


def test_what_was_taken_without_an_ack_comes_once_more_at_most(daemon: DaemonProcess) -> None:
    """And as redelivered, when the daemon is killed in the moment after the response."""
    for number in range(8):
        with Mail(address_of(daemon)) as mail:
            mail.send("a", "b", str(number))
            mail.start("POST", path("/v1/check-inbox", name="b"), "b")
            mail.read_head()
            daemon.kill()
            assert json.loads(mail.read_to_end())[0]["body"] == str(number)
        daemon.start()
        with Mail(address_of(daemon)) as mail:
            again = mail.check("b")
            assert [(each["body"], each["attempts"]) for each in again] in ([], [(str(number), 2)])
            # Whoever acks does not see it again, however soon the daemon is killed.
            mail.send("a", "b", "acked")
            (message,) = mail.check("b", lease=60)
            mail.outcome("ack", "b", message["lease"])
            daemon.kill()
        daemon.start()
        with Mail(address_of(daemon)) as mail:
            assert mail.check("b") == []


def assert_is_sound(daemon: DaemonProcess, book: Book) -> None:
    """The file is whole, its counts are right, and what was acked is noted as delivered."""
    connection = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.pragma("integrity_check") == "ok"
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    kept = connection.execute(
        "SELECT recipient_id, sender_id, waiting, leased FROM backlog"
        " WHERE waiting <> 0 OR leased <> 0 ORDER BY 1, 2"
    ).fetchall()
    counted = connection.execute(
        "SELECT recipient_id, sender_id, sum(state = 0), sum(state = 1) FROM message"
        " WHERE state < 2 GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    assert kept == counted
    delivered = {
        number for (number,) in connection.execute("SELECT id FROM message WHERE state = 2")
    }
    assert book.acked <= delivered
    bodies = [body for (body,) in connection.execute("SELECT text FROM body")]
    assert len(bodies) == len(set(bodies)), "a keyed send was stored twice"
    connection.close()
