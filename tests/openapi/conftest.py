"""Fixtures of the tests of the OpenAPI document."""

from support.fixtures import daemon as daemon
