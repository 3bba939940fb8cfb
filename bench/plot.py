"""The plot: every figure against its target, as an SVG made by hand.

One row a target, one logarithmic axis: how many times the target the measured value is, turned
round for rates, so that left of the line is always good. A dot is what was measured, a hollow one
what a design of the same kind reaches on Node at its best.
"""

import math
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from bench.report import Report
from bench.stats import Figure
from bench.table import amount, bound_text
from bench.targets import LeaseOutcome, judge

_WIDTH = 1170
_LABELS = 400
_RIGHT = 370
_LEAST = 0.01
_ROW = 24
_TOP = 74
_BOTTOM = 58
_GOOD = "#1a7f37"
_BAD = "#cf222e"
_INK = "#1f2328"
_FAINT = "#8c959f"
_GRID = "#d8dee4"


def render(report: Report) -> str:
    """Return the document."""
    rows = [
        _Row(outcome, outcome.bound)
        for outcome in judge(report.by_id())
        if outcome.bound is not None
    ]
    axis = _Axis([value for row in rows for value in row.values()])
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 26, "How far from the target", size=16, weight="600"),
        _text(16, 46, _subtitle(report), fill=_FAINT),
        *_grid(axis, height - _BOTTOM),
        *(part for number, row in enumerate(rows) for part in _draw(axis, row, number)),
        *_legend(height - 14),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Row:
    """A target as it is drawn."""

    def __init__(self, outcome: LeaseOutcome, bound: float) -> None:
        target, figure = outcome.target, outcome.figure
        which = ", p99" if target.statistic == "p99" else ""
        self.label = figure.title + which
        self.shown = f"{amount(outcome.value, figure.unit)}, wanted {bound_text(outcome)}"
        self.is_met = bool(outcome.is_met)
        self.measured = _times(figure, outcome.value, bound)
        self.node = _times(figure, target.node[0], bound) if target.node else None

    def values(self) -> list[float]:
        """Return what must fit on the axis."""
        return [self.measured] + ([] if self.node is None else [self.node])


def _times(figure: Figure, value: float, bound: float) -> float:
    """Return how many times the bound a value is; for a rate, how many times too slow.

    What is off the scale is drawn at its edge.
    """
    times = bound / max(value, 1e-9) if figure.is_rate else value / bound
    return min(max(times, _LEAST), 1 / _LEAST)


class _Axis:
    """A logarithmic axis that has room for all *values*, and for 1."""

    def __init__(self, values: Iterable[float]) -> None:
        known = [1.0, *values]
        self.low = math.floor(math.log10(min(known)))
        self.high = math.ceil(math.log10(max(known)) + 0.05)

    def x(self, value: float) -> float:
        """Return where *value* is."""
        width = _WIDTH - _LABELS - _RIGHT
        return _LABELS + width * (math.log10(value) - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the ticks and their labels."""
        for power in range(self.low, self.high + 1):
            yield 10.0**power, "target" if power == 0 else f"{10.0**power:g} x"


def _subtitle(report: Report) -> str:
    machine = report.machine
    return (
        f"claude-mailbox {report.version}, {machine.get('cores')} cores {machine.get('cpu')},"
        f" {machine.get('kernel')}, Python {machine.get('python')}; left of the line is better"
    )


def _grid(axis: _Axis, bottom: float) -> Iterator[str]:
    for value, label in axis.ticks():
        x = axis.x(value)
        color, width = (_INK, 1.5) if value == 1 else (_GRID, 1)
        yield (
            f'<line x1="{x:.1f}" y1="{_TOP - 10}" x2="{x:.1f}" y2="{bottom}"'
            f' stroke="{color}" stroke-width="{width}"/>'
        )
        yield _text(x, bottom + 18, label, fill=_FAINT, anchor="middle")


def _draw(axis: _Axis, row: _Row, number: int) -> Iterator[str]:
    y = _TOP + _ROW * number + _ROW / 2
    color = _GOOD if row.is_met else _BAD
    yield _text(_LABELS - 12, y + 4, row.label, anchor="end")
    yield (
        f'<line x1="{axis.x(1):.1f}" y1="{y}" x2="{axis.x(row.measured):.1f}" y2="{y}"'
        f' stroke="{color}" stroke-width="3" stroke-opacity="0.35"/>'
    )
    if row.node is not None:
        yield _dot(axis.x(row.node), y, fill="#ffffff", stroke=_FAINT)
    yield _dot(axis.x(row.measured), y, fill=color, stroke=color)
    yield _text(_WIDTH - _RIGHT + 10, y + 4, row.shown, fill=color)


def _legend(y: float) -> Iterator[str]:
    x = float(_LABELS)
    for color, stroke, label in (
        (_GOOD, _GOOD, "meets its target"),
        (_BAD, _BAD, "misses it"),
        ("#ffffff", _FAINT, "a design of the same kind on Node, on another machine"),
    ):
        yield _dot(x, y - 4, fill=color, stroke=stroke)
        yield _text(x + 10, y, label, fill=_FAINT)
        x += 30 + 6.2 * len(label)


def _dot(x: float, y: float, *, fill: str, stroke: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{stroke}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    fill: str = _INK,
    anchor: str = "start",
    size: int = 12,
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" font-size="{size}"'
        f' font-weight="{weight}">{escape(text)}</text>'
    )
