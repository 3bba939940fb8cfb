"""docs/benchmarks.md says what was measured."""

import pytest

from bench import report, table
from bench.stats import RATE, Figure
from bench.targets import TARGETS
from docs.markdown import table as written_table
from docs.pages import BENCHMARKS, ROOT

REPORT = report.from_json((ROOT / "bench/results/2-cores.json").read_text(), "2-cores.json")
FIGURES = REPORT.by_id()

# Each row of the first table, and its figure.
ROWS = {
    "a prompt: `check --hook`, nothing waiting": "hook.nothing",
    "`watch --block` with mail waiting, whole process": "drain.process",
    "from `send` until a blocked HTTP watch has it": "wake.http",
    "from `send` until `watch --follow` has printed it": "wake.follow",
    "from `send` until `watch --block` has printed it and exited": "wake.process",
    "from `send` until an idle session's doorbell has changed": "wake.doorbell",
    "a durable send, one client": "send.one",
    "durable sends, 16 clients at once": "send.16",
    "durable sends, 64 clients at once": "send.64",
    "a backlog by `watch --follow`, each message leased and acked": "drain.follow",
    "a backlog by `check-inbox`, 100 a request": "drain.check",
    "a backlog over HTTP, one a request": "drain.http",
    "an MCP call of `send`": "mcp.send",
    "an MCP call of `check_inbox`": "mcp.check",
    "the daemon's start until `/health` answers": "start.health",
    "the daemon's start until `/mcp` answers": "start.mcp",
    "memory of an idle daemon": "idle.memory",
    "memory for each waiter": "growth.waiters.2000.memory",
    "an idle daemon's share of a CPU": "idle.cpu",
}
# Rows that are the quotient of two figures.
QUOTIENTS = {
    "a claim with 20,000 messages waiting, against 1,000": (
        "growth.backlog.waiting.claim.20000",
        "growth.backlog.waiting.claim.1000",
    ),
    "a wake with 2,000 waiters, against one": ("growth.waiters.2000.wake", "growth.waiters.1.wake"),
}
BROKERS = {
    "claude-mailbox": ("send.one", "send.16", "drain.http", "wake.http"),
    "Redis Streams, `appendfsync always`": (
        "beside.redis.send",
        "beside.redis.send.16",
        "beside.redis.drain",
        "beside.redis.wake",
    ),
    "beanstalkd, `-f 0`": (
        "beside.beanstalkd.send",
        "beside.beanstalkd.send.16",
        "beside.beanstalkd.drain",
        "beside.beanstalkd.wake",
    ),
}


def median(name: str) -> str:
    """Return a figure's median as the harness prints it."""
    return table.amount(FIGURES[name].median, FIGURES[name].unit)


def here(figure: Figure) -> str:
    """Return what stands in the column of this machine."""
    shown = table.amount(figure.median, figure.unit)
    has_tail = figure.unit == "ms"
    return f"{shown} / {table.amount(figure.p99, figure.unit)}" if has_tail else shown


def on_node(name: str) -> str:
    """Return what stands in the column of Node."""
    values = [
        target.node
        for target in TARGETS
        if target.figure == name and target.statistic == "median" and target.node
    ]
    return (
        " to ".join(table.amount(each, FIGURES[name].unit) for each in values[0]) if values else "-"
    )


def test_what_you_wait_for() -> None:
    """Every row has its figure, and what Node reaches."""
    expected = {label: (here(FIGURES[name]), on_node(name)) for label, name in ROWS.items()}
    for label, (figure, unit) in QUOTIENTS.items():
        expected[label] = (f"{FIGURES[figure].median / FIGURES[unit].median:.2f} x", "-")

    rows = written_table(BENCHMARKS, "You wait for").rows

    assert {row["You wait for"]: (row["Here"], row["On Node"]) for row in rows} == expected


def test_brokers() -> None:
    """Every cell is a figure."""
    rows = written_table(BENCHMARKS, "Broker").rows

    written = {row.pop("Broker"): list(row.values()) for row in rows}

    assert written == {label: [median(name) for name in names] for label, names in BROKERS.items()}


def test_every_figure_is_there_as_the_harness_prints_it() -> None:
    """To mend it, paste what ``bench.table.render`` returns of the results."""
    printed = table.render(REPORT)

    assert printed[printed.index("|") :].strip() in BENCHMARKS


@pytest.mark.parametrize("key", ["cpu", "filesystem"])
def test_the_machine(key: str) -> None:
    """It is the one that the results name."""
    assert REPORT.machine[key] in BENCHMARKS
    assert f"Python {REPORT.machine['python']}" in BENCHMARKS
    assert f"on {REPORT.machine['cores']} shared cores" in BENCHMARKS


def test_rates_have_no_tail() -> None:
    """The column of this machine tells the 99th percentile of times alone."""
    for row in written_table(BENCHMARKS, "You wait for").rows:
        assert not (RATE in row["Here"] and " / " in row["Here"])
