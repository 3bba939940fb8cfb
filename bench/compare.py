"""Two reports side by side: what got faster, what slower."""

from collections.abc import Iterable, Sequence

from bench.report import Report
from bench.stats import Figure
from bench.table import aligned, amount, heading

# Medians of two runs of the same code differ by so much on a machine that has other things to do.
NOISE = 0.10
_HEADS = ("figure", "median before", "after", "change", "p99 before", "after", "change", "")
_NUMERIC = frozenset(range(1, 7))


def render(before: Report, after: Report) -> str:
    """Return the comparison as text; figures that only one report has are named below it."""
    old, new = before.by_id(), after.by_id()
    heads = [
        f"{label}: claude-mailbox {report.version}, {report.scale} run of {report.started_at}"
        for label, report in (("before", before), ("after", after))
    ]
    lines = [*heads, *_warnings(before, after), ""]
    shared = [(old[figure.id], figure) for figure in after.figures if figure.id in old]
    lines.append(aligned(_HEADS, _rows(shared), _NUMERIC))
    for label, has, lacks in (("before", old, new), ("after", new, old)):
        only = [name for name in has if name not in lacks]
        if only:
            lines.append(f"only {label}: {', '.join(only)}")
    return "\n".join(lines)


def _warnings(before: Report, after: Report) -> Iterable[str]:
    if before.scale != after.scale:
        yield "The runs are of different scale: rounds and backlogs differ."
    for key in sorted(before.machine.keys() | after.machine.keys()):
        was, now = before.machine.get(key, "?"), after.machine.get(key, "?")
        if was != now and key != "others":
            yield f"The machines differ: {key} was {was}, is {now}."


def _rows(pairs: Iterable[tuple[Figure, Figure]]) -> Iterable[Sequence[str]]:
    group = ""
    for old, new in pairs:
        if new.group != group:
            group = new.group
            yield heading(group, len(_HEADS))
        yield [
            new.title,
            amount(old.median, old.unit),
            amount(new.median, new.unit),
            _change(old.median, new.median),
            amount(old.p99, old.unit),
            amount(new.p99, new.unit),
            _change(old.p99, new.p99),
            outcome(old, new),
        ]


def _change(old: float, new: float) -> str:
    return f"{(new / old - 1) * 100:+.0f} %" if old else ""


def outcome(old: Figure, new: Figure) -> str:
    """Return ``better`` or ``worse``, or nothing when the medians differ by less than noise."""
    if not old.median or abs(new.median / old.median - 1) <= NOISE:
        return ""
    return "better" if (new.median > old.median) == new.is_rate else "worse"
