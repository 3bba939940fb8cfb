"""From samples to figures: median, p99, count. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MS = "ms"
RATE = "/s"
KB = "KB"
MB = "MB"
PERCENT = "%"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity.

    Attributes:
        id: stable name, dotted; comparisons match by it.
        group: the scenario that it belongs to.
        title: what was measured, for people.
        unit: ``ms``, ``/s``, ``KB``, ``MB`` or ``%``.
        median: of all samples.
        p99: the value that 99 of 100 samples are not worse than.
        count: how many samples.
    """

    id: str
    group: str
    title: str
    unit: str
    median: float
    p99: float
    count: int

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit == RATE


def percentile(samples: Iterable[float], fraction: float) -> float:
    """Return the smallest sample that *fraction* of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def median(samples: Sequence[float]) -> float:
    """Return the middle sample, or the mean of the two middle ones."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def summarize(name: str, group: str, title: str, unit: str, samples: Sequence[float]) -> Figure:
    """Return the figure for *samples*; of a rate, p99 is what 99 of 100 rounds reach."""
    if unit == RATE:
        p99 = -percentile([-sample for sample in samples], 0.99)
    else:
        p99 = percentile(samples, 0.99)
    return Figure(name, group, title, unit, median(samples), p99, len(samples))
