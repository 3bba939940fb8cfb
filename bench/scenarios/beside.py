"""Beside it: other queues, and another messenger between agents."""

from bench.beside import beanstalkd, hcom, redis
from bench.context import Bench


def run(bench: Bench) -> None:
    """Measure those that this machine has."""
    beanstalkd.run(bench)
    redis.run(bench)
    hcom.run(bench)
