"""The machine: what it is, and what the kernel says about a process."""

import os
import platform
import resource
import time

from bench.errors import BenchError


def describe(folder: str) -> dict[str, str]:
    """Return what a reader of the figures must know about the machine.

    Args:
        folder: where the databases will lie.
    """
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "filesystem": _filesystem(folder),
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _filesystem(folder: str) -> str:
    """Return the type of the file system that *folder* is on: the longest mount point above it."""
    path = os.path.realpath(folder)
    best, kind = "", "unknown"
    try:
        with open("/proc/mounts", encoding="utf-8") as file:
            for line in file:
                _, point, found, *_ = line.split()
                inside = point == "/" or path == point or path.startswith(point + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, found
    except OSError:
        pass
    return kind


def resident_kb(pid: int) -> float:
    """Return the resident memory of a process, in KB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
    raise BenchError(f"/proc/{pid}/status does not tell the memory.")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that all threads of a process have used, to the nanosecond."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Neighbors:
    """How much of the machine others took while we measured, from its making to `share`."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._busy = _busy_seconds()
        self._own = _own_seconds()

    def share(self) -> float:
        """Return the share of all CPUs, in percent, that went to processes not of this run.

        What this run has started counts once it has ended, so ask at the end.
        """
        busy = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        capacity = (time.monotonic() - self._begin) * (os.cpu_count() or 1)
        return max(0.0, 100 * busy / capacity) if capacity else 0.0


def _busy_seconds() -> float:
    """Return how long the CPUs were busy since the start of the machine, all added up."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _waiting, *rest = map(int, file.readline().split()[1:8])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
