"""Statistics, targets, and the forms in which a report leaves the harness."""

import dataclasses
import json
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from bench import compare, plot, table
from bench.errors import BenchError
from bench.report import Recorder, Report, from_json, to_json
from bench.stats import MS, RATE, Figure, median, percentile, summarize
from bench.targets import TARGETS, judge

SVG = "{http://www.w3.org/2000/svg}"


def figure(name: str, value: float, *, unit: str = MS, p99: float | None = None) -> Figure:
    return Figure(name, "Group", f"title of {name}", unit, value, p99 or value, 10)


def report(*figures: Figure, scale: str = "quick", cpu: str = "abacus") -> Report:
    return Report(
        scale=scale,
        started_at="2026-01-02T03:04:05+00:00",
        version="1.2.3",
        machine={"cpu": cpu, "cores": "2"},
        figures=list(figures),
        skipped={"hcom": "no 'hcom' on the PATH"},
        seconds=12.3,
    )


def verdicts(
    *figures: Figure,
) -> dict[tuple[str, str, str | None], tuple[bool | None, str]]:
    judged = judge({each.id: each for each in figures})
    return {
        (v.target.figure, v.target.statistic, v.target.times): (v.is_met, v.standing)
        for v in judged
    }


@pytest.mark.parametrize(
    ("samples", "middle"), [([3.0], 3.0), ([4.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5)]
)
def test_median_is_the_middle_of_the_sorted_samples(
    samples: Sequence[float], middle: float
) -> None:
    assert median(samples) == middle


def test_p99_is_the_value_that_99_of_100_do_not_exceed() -> None:
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([5, 1], 0.99) == 5


def test_p99_of_a_rate_is_on_its_slow_side() -> None:
    found = summarize("x", "g", "t", RATE, [float(n) for n in range(1, 101)])

    assert (found.median, found.p99, found.count) == (50.5, 2.0, 100)


def test_no_samples_make_no_figure() -> None:
    with pytest.raises(ValueError, match="no samples"):
        median([])
    recorder = Recorder()
    recorder.add("x", "t", MS, [])

    assert recorder.figures() == []


def test_a_figure_may_be_sampled_by_several_scenarios_and_stays_in_the_first() -> None:
    recorder = Recorder()
    recorder.group = "first"
    recorder.add("x", "t", MS, [1.0])
    recorder.group = "second"
    recorder.add("x", "t", MS, [3.0])

    assert recorder.figures() == [Figure("x", "first", "t", MS, 2.0, 3.0, 2)]


def test_every_target_is_about_its_own_figure_once() -> None:
    keys = [(target.figure, target.statistic, target.times) for target in TARGETS]

    assert len(keys) == len(set(keys))


def test_a_time_must_be_at_most_its_target_and_a_rate_at_least() -> None:
    found = verdicts(figure("send.one", 1.6), figure("send.16", 1300, unit=RATE))

    assert found["send.one", "median", None] == (False, "behind")
    assert found["send.16", "median", None] == (True, "behind")


def test_a_target_of_p99_is_not_about_the_median() -> None:
    found = verdicts(figure("wake.http", 1.0, p99=20.0))

    assert found["wake.http", "median", None] == (True, "ahead")
    assert found["wake.http", "p99", None] == (False, "behind")


def test_a_ratio_is_taken_inside_the_run_and_unknown_without_its_other_half() -> None:
    found = verdicts(figure("hook.nothing", 24.0), figure("hook.python", 10.0))

    assert found["hook.nothing", "median", "hook.python"] == (True, "ahead")
    assert found["hook.nothing", "median", "beside.node.fetch"] == (None, "")


def test_the_largest_backlog_is_held_against_the_smallest_by_number_not_by_letter() -> None:
    sizes = {9: 1.0, 100: 1.2, 1000: 1.3}
    found = verdicts(*(figure(f"growth.backlog.waiting.peek.{n}", t) for n, t in sizes.items()))

    assert found == {
        ("growth.backlog.waiting.peek.1000", "median", "growth.backlog.waiting.peek.9"): (
            False,
            "",
        )
    }


def test_as_good_as_some_runs_on_node_is_level() -> None:
    standings = [verdicts(figure("start.health", time)) for time in (130.0, 200.0, 231.0)]

    assert [found["start.health", "median", None][1] for found in standings] == [
        *("ahead", "level", "behind")
    ]


def test_a_report_comes_back_from_its_json() -> None:
    before = report(figure("send.one", 0.5), figure("send.16", 3000, unit=RATE))

    assert from_json(to_json(before), "x.json") == before


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 1, "figures": [{"id": 1}]}', '{"figures": []}']
)
def test_what_is_no_report_is_refused_by_name(text: str) -> None:
    with pytest.raises(BenchError, match=r"x\.json is no result of this benchmark"):
        from_json(text, "x.json")


def test_a_report_of_another_format_is_refused() -> None:
    content = json.loads(to_json(report())) | {"format": 99}

    with pytest.raises(BenchError, match=r"x\.json has another format"):
        from_json(json.dumps(content), "x.json")


def test_the_table_has_a_row_a_figure_with_target_and_verdict() -> None:
    text = table.render(report(figure("send.one", 1.6), figure("floor.fsync", 0.05)))
    rows = [line for line in text.splitlines() if line.startswith("|")]

    assert len({len(row) for row in rows}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert ["**Group**", *[""] * 7] in cells
    assert [
        *("title of send.one", "1.60 ms", "1.60 ms", "10"),
        *("≤ 1.50 ms", "MISS", "0.71 ms", "behind"),
    ] in cells
    assert ["title of floor.fsync", "0.050 ms", "0.050 ms", "10", "", "", "", ""] in cells
    assert "skipped: hcom: no 'hcom' on the PATH" in text
    assert text.endswith("targets: 0 met, 1 missed (send.one); behind Node: send.one")


def test_a_figure_with_two_targets_has_a_row_for_each() -> None:
    text = table.render(
        report(
            figure("drain.python", 10.0),
            figure("beside.node.fetch", 70.0),
            figure("drain.process", 30.0),
        )
    )

    rows = [_cells(line)[5:9] for line in text.splitlines() if "x bare" in line or "x Node" in line]
    assert rows == [
        ["≤ 25.0 ms (2.5 x bare python)", "MISS", "66.0 ms to 71.0 ms", "ahead"],
        ["≤ 35.0 ms (0.5 x Node's fetch)", "pass", "", ""],
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "%", "0.00 %"),
        (0.0123, MS, "0.012 ms"),
        (1.234, MS, "1.23 ms"),
        (12.34, "MB", "12.3 MB"),
        (1234.5, RATE, "1,234/s"),
    ],
)
def test_amounts_have_about_three_digits(value: float, unit: str, text: str) -> None:
    assert table.amount(value, unit) == text


def test_a_comparison_tells_better_from_worse_and_from_noise() -> None:
    before = report(figure("a", 1.0), figure("b", 100, unit=RATE), figure("c", 1.0), figure("d", 1))
    after = report(figure("a", 0.5), figure("b", 50, unit=RATE), figure("c", 1.05), figure("e", 1))

    rows = {row[1]: row for row in map(_cells, compare.render(before, after).splitlines()) if row}

    assert rows["title of a"][4:5] + rows["title of a"][8:9] == ["-50 %", "better"]
    assert rows["title of b"][8] == "worse"
    assert rows["title of c"][8] == ""


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")] if line.startswith("|") else []


def test_a_comparison_names_what_only_one_run_has_and_what_differs() -> None:
    text = compare.render(
        report(figure("a", 1), figure("d", 1)),
        report(figure("a", 1), figure("e", 1), scale="full", cpu="quantum"),
    )

    assert "only before: d" in text
    assert "only after: e" in text
    assert "The runs are of different scale" in text
    assert "cpu was abacus, is quantum" in text


def test_the_plot_is_svg_with_a_dot_for_each_target_and_one_for_node() -> None:
    drawn = plot.render(
        report(
            figure("send.one", 1.6),  # a target, and Node's
            figure("mcp.send", 1.0),  # a target
            dataclasses.replace(figure("idle.cpu", 0.0, unit="%"), title="<idle> & quiet"),
        )
    )

    root = ElementTree.fromstring(drawn)
    legend = 3
    assert len(root.findall(f"{SVG}circle")) == 4 + legend
    texts = [element.text for element in root.findall(f"{SVG}text")]
    assert "title of send.one" in texts
    assert "<idle> & quiet" in texts
    assert "1.60 ms, wanted ≤ 1.50 ms" in texts


def test_a_plot_of_nothing_is_still_svg() -> None:
    assert ElementTree.fromstring(plot.render(report())).tag == f"{SVG}svg"
