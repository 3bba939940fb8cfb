"""What the figures have to reach, and what a design of the same kind reaches on Node."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.stats import Figure


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on one figure.

    Attributes:
        figure: id of the bounded figure.
        limit: the bound, in the figure's unit or in multiples of *times*; None where there is
            none, and only the comparison with Node counts.
        statistic: ``median`` or ``p99``.
        times: id of the figure of the same run that *limit* multiplies, or None.
        against: what that figure is, in a word or two.
        node: what a mailbox daemon on Node reaches (Fastify, SQLite, one commit a send, nothing
            but processes on the client's side), in the figure's unit: its best run, and its worst
            where they differ; empty where it has nothing like it. It was measured elsewhere, on a
            machine of the same size.
    """

    figure: str
    limit: float | None
    statistic: str = "median"
    times: str | None = None
    against: str = ""
    node: tuple[float, ...] = ()


TARGETS = (
    Target("drain.process", 2.5, times="drain.python", against="bare python", node=(66, 71)),
    Target("drain.process", 0.5, times="beside.node.fetch", against="Node's fetch"),
    Target("drain.http", 600, node=(2000,)),
    Target("drain.follow", 5000, node=(15,)),
    Target("send.one", 1.5, node=(0.71,)),
    Target("send.16", 1200, node=(2140,)),
    Target("send.64", 1.5, times="send.1", against="one client"),  # commits are shared
    Target("wake.http", 3.0, node=(2.2,)),
    Target("wake.http", 15.0, "p99", node=(3.3,)),
    Target("wake.follow", 4.0),
    Target("mcp.send", 2.5),
    Target("mcp.check", 2.5),
    Target("hook.nothing", 2.5, times="hook.python", against="bare python", node=(68, 75)),
    Target("hook.nothing", 0.5, times="beside.node.fetch", against="Node's fetch"),
    Target("search.word", 50),
    Target("search.phrase", 50),
    Target("start.health", 800, node=(130, 230)),
    Target("idle.memory", None, node=(86,)),
    Target("idle.cpu", 1.0),
    Target("growth.waiters.2000.memory", 60),
    Target("growth.waiters.2000.wake", 2.0, times="growth.waiters.1.wake", against="one waiter"),
)

# Times with the largest backlog against those with the smallest.
BACKLOG_LIMIT = 1.25


@dataclass(frozen=True, slots=True)
class LeaseOutcome:
    """A target held against a run.

    Attributes:
        target: the target.
        figure: the figure that it bounds.
        value: the figure's statistic that the target is about.
        bound: the bound in the figure's unit; None when there is none, or when what it multiplies
            was not measured.
        is_met: whether the figure keeps it, or None likewise.
        standing: ``ahead`` of Node's best run, ``level`` with its runs, or ``behind`` its worst;
            empty where it has none.
    """

    target: Target
    figure: Figure
    value: float
    bound: float | None
    is_met: bool | None
    standing: str


def judge(figures: Mapping[str, Figure]) -> list[LeaseOutcome]:
    """Hold every target whose figure was measured against it."""
    targets = [*TARGETS, *_backlog_targets(figures)]
    return [_judge(target, figures) for target in targets if target.figure in figures]


def _judge(target: Target, figures: Mapping[str, Figure]) -> LeaseOutcome:
    figure = figures[target.figure]
    value = figure.p99 if target.statistic == "p99" else figure.median
    bound = target.limit
    if bound is not None and target.times is not None:
        unit = figures.get(target.times)
        bound = None if unit is None else bound * unit.median
    is_met = None if bound is None else _keeps(figure, value, bound)
    return LeaseOutcome(target, figure, value, bound, is_met, _standing(figure, value, target.node))


def _standing(figure: Figure, value: float, node: tuple[float, ...]) -> str:
    if not node:
        return ""
    if _keeps(figure, value, node[0]):
        return "ahead"
    return "level" if _keeps(figure, value, node[-1]) else "behind"


def _keeps(figure: Figure, value: float, bound: float) -> bool:
    return value >= bound if figure.is_rate else value <= bound


def _backlog_targets(names: Iterable[str]) -> Iterable[Target]:
    """Yield the targets of mailboxes that grow; their sizes depend on the scale of the run."""
    families: dict[str, list[int]] = {}
    for name in names:
        family, _, size = name.rpartition(".")
        if family.startswith("growth.backlog."):
            families.setdefault(family, []).append(int(size))
    for family, sizes in families.items():
        if len(sizes) > 1:
            yield Target(
                f"{family}.{max(sizes)}",
                BACKLOG_LIMIT,
                times=f"{family}.{min(sizes)}",
                against=f"{min(sizes):,} messages",
            )
