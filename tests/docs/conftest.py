"""Fixtures of the tests of documents."""

from support.fixtures import daemon as daemon
