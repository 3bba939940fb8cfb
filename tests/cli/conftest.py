"""Fixtures of the tests of the whole command line."""

from client.conftest import own as own
from client.conftest import shared as shared
from client.conftest import shared_daemon as shared_daemon
from support.fixtures import daemon as daemon
