"""Daemons on one PostgreSQL: what is done on one is seen on the others."""

from collections.abc import Iterator

import pytest

from support.daemon import DaemonProcess
from support.postgres import PostgresServer
from wire.conftest import Fresh, address_of
from wire.mail import Mail


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of the module's own, which is stopped and started."""
    with PostgresServer() as process:
        yield process


@pytest.fixture(scope="module")
def pair(
    postgres: PostgresServer, server: PostgresServer
) -> Iterator[tuple[DaemonProcess, DaemonProcess]]:
    """Two daemons on one database."""
    settings = {"databaseUrl": server.url(server.create_database())}
    with DaemonProcess(settings) as one, DaemonProcess(settings) as other:
        yield one, other


@pytest.fixture
def here(pair: tuple[DaemonProcess, DaemonProcess]) -> Iterator[Mail]:
    """A connection to the first."""
    with Mail(address_of(pair[0])) as mail:
        yield mail


@pytest.fixture
def there(pair: tuple[DaemonProcess, DaemonProcess]) -> Iterator[Mail]:
    """A connection to the second."""
    with Mail(address_of(pair[1])) as mail:
        yield mail


def wait_for_waiters(mail: Mail, number: int) -> None:
    """Return when so many watch on that daemon, and the first of them has looked."""
    with Mail(mail.address) as other:
        other.wait_for_waiters(number)
        other.peek("nobody")


def test_health_names_the_daemons(here: Mail, pair: tuple[DaemonProcess, DaemonProcess]) -> None:
    while len(here.health()["daemons"]) < 2:
        pass
    daemons = here.health()["daemons"]
    assert [any(f"({each.pid})" in name for name in daemons) for each in pair] == [True, True]


def test_mail_wakes_a_watch_on_the_other(here: Mail, there: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    there.start_watch(name)
    wait_for_waiters(there, 1)
    here.send("sender", name, "across")
    assert there.read().json()["body"] == "across"


def test_a_rename_tells_a_watch_on_the_other(here: Mail, there: Mail, fresh: Fresh) -> None:
    name, new = fresh("me"), fresh("new")
    there.start_watch(name)
    wait_for_waiters(there, 1)
    here.rename(name, new)
    reply = there.read()
    assert (reply.status, reply.json()["to"]) == (409, new)


def test_a_receipt_tells_of_a_delivery_on_the_other(here: Mail, there: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    number = here.send("sender", name)["id"]
    here.start_wait("sender", number)
    there.check(name)
    assert here.read().json()["state"] == "delivered"


def test_an_answer_on_the_other_reaches_the_asker_who_waits(
    here: Mail, there: Mail, fresh: Fresh
) -> None:
    """In the response that asks, and nowhere else."""
    name, asker = fresh("me"), fresh("asker")
    content = {"to": name, "body": "what?", "ask": 60}
    here.start("POST", "/v1/send?wait=60", asker, content=content)
    question = there.watch(name)
    assert question is not None
    there.request("POST", "/v1/send", name, content={"replyTo": question["id"], "body": "that"})
    assert here.read().json()["answer"]["body"] == "that"
    assert there.peek(asker)["pending"] == 0


def test_the_same_key_is_stored_once(here: Mail, there: Mail, fresh: Fresh) -> None:
    name = fresh("me")
    first = here.send("sender", name, idempotencyKey=name)
    again = there.send("sender", name, idempotencyKey=name)
    assert (again["id"], again["duplicate"]) == (first["id"], True)


def test_an_explicit_lease_can_be_released_on_the_other(
    here: Mail, there: Mail, fresh: Fresh
) -> None:
    name = fresh("me")
    here.send("sender", name)
    (message,) = here.check(name, lease=60)
    assert there.outcome("release", name, message["lease"])["done"] == [message["lease"]]
    assert here.check(name)[0]["attempts"] == 2


def test_a_lost_database_server_is_survived(
    server: PostgresServer, pair: object, here: Mail, there: Mail, fresh: Fresh
) -> None:
    """Sends are refused with a sentence, a watch goes on waiting, and all goes on afterwards."""
    name = fresh("me")
    here.send("sender", name, "before")
    there.check(name)
    there.start_watch(name)
    wait_for_waiters(there, 1)
    server.stop("fast")
    reply = here.request("POST", "/v1/send", "sender", content={"to": name, "body": "refused"})
    assert "cannot be reached" in reply.error(503, "unavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert here.health()["status"] == "ok"
    server.start()
    while True:
        reply = here.request("POST", "/v1/send", "sender", content={"to": name, "body": "after"})
        if reply.status == 200:
            break
    assert there.read().json()["body"] == "after"
