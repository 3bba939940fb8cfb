"""Fixtures for the tests of the client side."""

from collections.abc import Iterator

import pytest

from support.commandline import CommandLine
from support.daemon import DaemonProcess
from support.fixtures import daemon as daemon


@pytest.fixture(scope="session")
def shared_daemon() -> Iterator[DaemonProcess]:
    """One daemon for all tests that do not stop it; each test uses mailboxes of its own."""
    with DaemonProcess() as process:
        yield process


@pytest.fixture
def shared(shared_daemon: DaemonProcess) -> Iterator[CommandLine]:
    """The command line with the shared daemon."""
    with CommandLine(shared_daemon) as commandline:
        yield commandline


@pytest.fixture
def own(daemon: DaemonProcess) -> Iterator[CommandLine]:
    """The command line with a daemon that the test may kill."""
    with CommandLine(daemon) as commandline:
        yield commandline
