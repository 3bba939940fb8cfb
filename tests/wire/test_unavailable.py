"""503: the database cannot be used for the moment, and nothing was stored."""

import sqlite3
from collections.abc import Iterator

import pytest

from support.daemon import DaemonProcess
from wire.connection import Reply
from wire.mail import Mail


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """A daemon of the module's own."""
    with DaemonProcess() as process:
        yield process


def refused(reply: Reply) -> None:
    """Look at the form of a 503."""
    assert "locked" in reply.error(503, "unavailable")
    assert int(reply.headers["retry-after"]) > 0


def test_while_another_program_holds_the_database_requests_get_503(daemon: DaemonProcess) -> None:
    """Every verb says so, and all goes on when it lets go."""
    place = ("127.0.0.1", daemon.port)
    with Mail(place) as mail, Mail(place) as watcher, Mail(place) as second:
        mail.send("sender", "me", "before")
        second.start_watch("line")
        mail.wait_for_waiters(1)
        # Jobs are done in order, so after this one it has looked once, and waits.
        mail.peek("line")
        other = sqlite3.connect(daemon.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        watcher.start_watch("me")
        mail.start("POST", "/v1/send", "sender", content={"to": "me", "body": "refused"})

        refused(watcher.read())
        refused(mail.read())
        # Who only waits, and what asks nothing of the database, goes on.
        assert mail.health()["waiters"] == 1
        other.execute("ROLLBACK")
        other.close()

        mail.send("sender", "line", "to the one who waited")
        assert second.read().json()["body"] == "to the one who waited"
        assert mail.bodies("me") == ["before"]
