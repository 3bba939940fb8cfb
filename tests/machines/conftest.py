"""Fixtures for the tests of what machines do to a daemon."""

from support.fixtures import daemon as daemon
