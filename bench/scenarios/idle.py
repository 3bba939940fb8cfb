"""An idle daemon: what it holds of the memory, and what it takes of a CPU."""

import time

from bench.context import Bench
from bench.machine import cpu_seconds, resident_kb
from bench.stats import MB, PERCENT

_SLICES = 5


def run(bench: Bench) -> None:
    """Look at a daemon that has just started and has nothing to do."""
    with bench.daemon() as daemon:
        time.sleep(min(1.0, bench.scale.idle_seconds))  # what a start leaves behind is not idling
        bench.add("idle.memory", "idle daemon, memory (RSS)", [resident_kb(daemon.pid) / 1024], MB)
        for _ in range(_SLICES):
            used, begin = cpu_seconds(daemon.pid), time.perf_counter()
            time.sleep(bench.scale.idle_seconds / _SLICES)
            share = (cpu_seconds(daemon.pid) - used) / (time.perf_counter() - begin)
            bench.add("idle.cpu", "idle daemon, share of a CPU", [share * 100], PERCENT)
