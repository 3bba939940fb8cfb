"""Fixtures of the tests with dying processes."""

from support.fixtures import daemon as daemon
from support.fixtures import scratch as scratch
