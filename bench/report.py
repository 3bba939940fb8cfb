"""What a run brings home, and its JSON form."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bench.errors import BenchError
from bench.stats import Figure, summarize

FORMAT = 1


class Recorder:
    """Collects samples by figure; the same figure may be sampled by several scenarios."""

    def __init__(self) -> None:
        self.group = ""
        self._heads: dict[str, tuple[str, str, str]] = {}
        self._samples: dict[str, list[float]] = {}

    def __repr__(self) -> str:
        return f"<Recorder: {len(self._samples)} figures>"

    def add(self, name: str, title: str, unit: str, samples: Iterable[float]) -> None:
        """Add samples to the figure *name*; its first title, unit and group stay."""
        self._heads.setdefault(name, (self.group, title, unit))
        self._samples.setdefault(name, []).extend(samples)

    def figures(self) -> list[Figure]:
        """Return what was measured, in the order of its first sample."""
        return [
            summarize(name, group, title, unit, self._samples[name])
            for name, (group, title, unit) in self._heads.items()
            if self._samples[name]
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """A finished run.

    Attributes:
        scale: how long the run was allowed to take.
        started_at: ISO 8601 in UTC.
        version: of claude-mailbox.
        machine: what it ran on.
        figures: what was measured.
        skipped: what was not, and why.
        seconds: how long it took.
    """

    scale: str
    started_at: str
    version: str
    machine: Mapping[str, str]
    figures: Sequence[Figure]
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def by_id(self) -> dict[str, Figure]:
        """Return the figures by their names."""
        return {figure.id: figure for figure in self.figures}


def to_json(report: Report) -> str:
    """Return the report as a JSON document."""
    return json.dumps({"format": FORMAT, **asdict(report)}, indent=1) + "\n"


def from_json(text: str, where: str) -> Report:
    """Return the report that *text* holds.

    Raises:
        BenchError: if it is not a report of ours; *where* names it.
    """
    try:
        content = json.loads(text)
        if content.pop("format") != FORMAT:
            raise BenchError(f"{where} has another format: run the benchmark again.")
        figures = [Figure(**figure) for figure in content.pop("figures")]
        return Report(figures=figures, **content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{where} is no result of this benchmark ({error!r}).") from None
