"""Fixtures of the wire tests.

Most tests share one daemon and use names of their own; those that restart it, or want another
configuration, start another one.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import pytest

from support.daemon import DaemonProcess
from support.network import NetworkDaemon
from support.stores import POSTGRESQL, SQLITE
from wire.connection import Address
from wire.mail import Mail

Fresh = Callable[[str], str]
Connect = Callable[[], Mail]


# Whose tests are about mail itself: they run with a daemon on either engine.
ON_BOTH_ENGINES = (
    "test_concurrency",
    "test_conversations",
    "test_disconnect",
    "test_follow",
    "test_history",
    "test_leases",
    "test_peek",
    "test_receipts",
    "test_receive",
    "test_send",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of mail with a daemon on each engine, and those of ``TRANSPORTS`` on each of these."""
    if "shared" not in metafunc.fixturenames:
        return
    transports = getattr(metafunc.module, "TRANSPORTS", ("tcp",))
    is_of_mail = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH_ENGINES
    ways = [(transport, SQLITE) for transport in transports]
    if is_of_mail:
        ways.append(("tcp", POSTGRESQL))
    # Also where there is one way alone: otherwise a test would take over the daemon of the last one.
    metafunc.parametrize(("transport", "engine"), ways, scope="session")


@pytest.fixture(scope="session")
def transport() -> str:
    """How clients come: ``tcp`` on this machine, or ``tls`` as from others."""
    return "tcp"


@pytest.fixture(scope="session")
def engine() -> str:
    """Where the shared daemon keeps mail: one of ``ENGINES``."""
    return SQLITE


def create_daemon(transport: str, settings: Mapping[str, object] | None = None) -> DaemonProcess:
    """Return a daemon that is to be reached that way."""
    return NetworkDaemon(settings) if transport == "tls" else DaemonProcess(settings)


@pytest.fixture(scope="session")
def shared(transport: str, engine: str, request: pytest.FixtureRequest) -> Iterator[DaemonProcess]:
    """One daemon for all tests that do not disturb each other."""
    settings = {}
    if engine == POSTGRESQL:
        server = request.getfixturevalue("postgres")
        settings["databaseUrl"] = server.url(server.create_database())
    with create_daemon(transport, settings) as process:
        yield process


@pytest.fixture
def daemon(shared: DaemonProcess) -> Iterator[DaemonProcess]:
    """The shared daemon; the test fails when it logs a traceback meanwhile."""
    before = len(shared.log())
    yield shared
    news = shared.log()[before:]
    assert "Traceback" not in news, f"the daemon logged:\n{news}"


def address_of(process: DaemonProcess) -> Address:
    """Return where a daemon listens on TCP; the Unix socket has the same server behind it."""
    if isinstance(process, NetworkDaemon):
        return process.tls_address()
    return ("127.0.0.1", process.port)


@pytest.fixture
def address(daemon: DaemonProcess) -> Address:
    """The shared daemon's address."""
    return address_of(daemon)


@pytest.fixture
def connect(address: Address) -> Iterator[Connect]:
    """Opens connections, which are closed at the end."""
    opened: list[Mail] = []

    def open_one() -> Mail:
        opened.append(Mail(address))
        return opened[-1]

    yield open_one
    for mail in opened:
        mail.close()


@pytest.fixture
def mail(connect: Connect) -> Mail:
    """One connection."""
    return connect()


_numbers = itertools.count(1)


@pytest.fixture
def fresh() -> Fresh:
    """Makes names that no other test uses."""
    return lambda stem: f"{stem}-{next(_numbers)}"


def still_lives(connect: Connect) -> bool:
    """Return whether the daemon answers somebody else."""
    return connect().health()["status"] == "ok"
