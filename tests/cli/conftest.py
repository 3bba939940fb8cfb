"""Fixtures for the tests of the command line."""

from client.conftest import own as own
from client.conftest import shared as shared
from client.conftest import shared_daemon as shared_daemon
from support.fixtures import daemon as daemon
