"""Fixtures of the MCP tests."""

from collections.abc import Iterator

import pytest

from daemon.mcp.rpc import Rpc
from support.daemon import DaemonProcess
from wire.conftest import Fresh as Fresh
from wire.conftest import address_of
from wire.conftest import daemon as daemon
from wire.conftest import fresh as fresh
from wire.mail import Mail


def wait_until_ready(process: DaemonProcess) -> None:
    """Return when the SDK is imported, which a call of anything but a tool brings about."""
    with Rpc(("127.0.0.1", process.port)) as rpc:
        rpc.ask("tools/list")


@pytest.fixture(scope="session")
def shared() -> Iterator[DaemonProcess]:
    """One daemon for all tests that do not disturb each other."""
    with DaemonProcess() as process:
        wait_until_ready(process)
        yield process


@pytest.fixture
def mail(daemon: DaemonProcess) -> Iterator[Mail]:
    """A REST connection to look behind the scenes with."""
    with Mail(("127.0.0.1", daemon.port)) as connection:
        yield connection


@pytest.fixture
def rpc(daemon: DaemonProcess) -> Iterator[Rpc]:
    """A connection that speaks JSON-RPC as it is on the wire."""
    with Rpc(address_of(daemon)) as connection:
        yield connection
