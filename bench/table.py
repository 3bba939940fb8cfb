"""Tables for people: aligned in a terminal, and Markdown when pasted."""

from collections.abc import Iterable, Sequence

from bench.report import Report
from bench.stats import RATE
from bench.targets import LeaseOutcome, judge

_HEADS = ("figure", "median", "p99", "n", "at least", "", "on Node", "")
_NUMERIC = frozenset({1, 2, 3})


def render(report: Report) -> str:
    """Return the whole report as text."""
    machine = ", ".join(f"{key} {value}" for key, value in report.machine.items())
    head = (
        f"claude-mailbox {report.version}, {report.scale} run of {report.started_at},"
        f" {report.seconds:.0f} s\n{machine}\n"
    )
    parts = [head, aligned(_HEADS, _rows(report), _NUMERIC)]
    parts += [f"skipped: {what}: {why}" for what, why in report.skipped.items()]
    parts.append(summary(report))
    return "\n".join(parts)


def summary(report: Report) -> str:
    """Return one line: how many targets are met, and which are not."""
    verdicts = judge(report.by_id())
    met = sum(outcome.is_met is True for outcome in verdicts)
    missed = [outcome.target.figure for outcome in verdicts if outcome.is_met is False]
    behind = [outcome.target.figure for outcome in verdicts if outcome.standing == "behind"]
    line = f"targets: {met} met, {len(missed)} missed"
    if missed:
        line += f" ({', '.join(dict.fromkeys(missed))})"
    return line + (f"; behind Node: {', '.join(dict.fromkeys(behind))}" if behind else "")


def _rows(report: Report) -> Iterable[Sequence[str]]:
    figures = report.by_id()
    verdicts: dict[str, list[LeaseOutcome]] = {}
    for outcome in judge(figures):
        verdicts.setdefault(outcome.figure.id, []).append(outcome)
    group = ""
    for figure in report.figures:
        if figure.group != group:
            group = figure.group
            yield heading(group, len(_HEADS))
        cells = [figure.title, amount(figure.median, figure.unit), amount(figure.p99, figure.unit)]
        first, *more = [_target_cells(v) for v in verdicts.get(figure.id, [])] or [[""] * 4]
        yield [*cells, str(figure.count), *first]
        for further in more:
            yield ["", "", "", "", *further]


def heading(group: str, columns: int) -> Sequence[str]:
    """Return the row that begins a group."""
    return [f"**{group}**"] + [""] * (columns - 1)


def _target_cells(outcome: LeaseOutcome) -> list[str]:
    target, unit = outcome.target, outcome.figure.unit
    which = " p99" if target.statistic == "p99" else ""
    node = " to ".join(amount(value, unit) for value in target.node)
    return [
        bound_text(outcome) + which,
        "" if outcome.is_met is None else "pass" if outcome.is_met else "MISS",
        node + which if node else "",
        outcome.standing,
    ]


def bound_text(outcome: LeaseOutcome) -> str:
    """Return the bound with its sign, and where it comes from; empty where there is none."""
    target, figure = outcome.target, outcome.figure
    if target.limit is None:
        return ""
    sign = "≥" if figure.is_rate else "≤"
    source = "" if target.times is None else f"{target.limit:g} x {target.against}"
    if outcome.bound is None:
        return f"{sign} {source}"
    text = f"{sign} {amount(outcome.bound, figure.unit)}"
    return f"{text} ({source})" if source else text


def amount(value: float, unit: str) -> str:
    """Return a quantity in about three significant digits, with its unit."""
    if value >= 100:
        text = f"{value:,.0f}"
    elif value >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2f}" if value >= 0.1 or not value else f"{value:.3f}"
    return text + unit if unit == RATE else f"{text} {unit}"


def aligned(heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[int]) -> str:
    """Return a Markdown table whose columns line up."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(heads))]

    def show(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - 1) + ":" if column in numeric else "-" * width
        for column, width in enumerate(widths)
    ]
    return "\n".join([show(lines[0]), show(rule), *map(show, lines[1:])]) + "\n"
