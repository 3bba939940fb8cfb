"""Daemon start: from the spawn until ``/health`` answers, and until ``/mcp`` does."""

from bench.context import Bench
from bench.daemon import Daemon


def run(bench: Bench) -> None:
    """Start daemons, each in a new home."""
    for number in range(bench.scale.starts + 1):
        with bench.home() as home:
            daemon = Daemon(home)
            try:
                health = daemon.wait_until_healthy()
                mcp = daemon.wait_until_mcp()
            finally:
                daemon.stop()
        if number:  # the first one warms the disk's cache
            bench.add("start.health", "start until /health answers", [health])
            bench.add("start.mcp", "start until /mcp answers", [mcp])
