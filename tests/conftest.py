"""Fixtures of the modules that lie at the top of the package."""

from support.fixtures import scratch as scratch
