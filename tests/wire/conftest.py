"""Fixtures of the wire tests.

Most tests share one daemon and use names of their own; those that restart it, or want another
configuration, start another one.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import pytest

from support.daemon import DaemonProcess
from support.network import NetworkDaemon
from wire.connection import Address
from wire.mail import Mail

Fresh = Callable[[str], str]
Connect = Callable[[], Mail]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of modules that say so in ``TRANSPORTS`` on several transports."""
    transports = getattr(metafunc.module, "TRANSPORTS", None)
    if transports and "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", transports, scope="session")


@pytest.fixture(scope="session")
def transport() -> str:
    """How clients come: ``tcp`` on this machine, or ``tls`` as from others."""
    return "tcp"


def create_daemon(transport: str, settings: Mapping[str, object] | None = None) -> DaemonProcess:
    """Return a daemon that is to be reached that way."""
    return NetworkDaemon(settings) if transport == "tls" else DaemonProcess(settings)


@pytest.fixture(scope="session")
def shared(transport: str) -> Iterator[DaemonProcess]:
    """One daemon for all tests that do not disturb each other."""
    with create_daemon(transport) as process:
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
