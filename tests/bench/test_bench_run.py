"""The harness as it is called: a tiny run against real daemons, and its output's form."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.report import Report, from_json

# Every scenario runs in one test's setup: 15 s on an idle machine, many times that beside other load.
pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).parents[2]
# What each scenario owes at least; the figures of other programs depend on the machine.
OWED = {
    "floor.python",
    "floor.fsync",
    "floor.loopback",
    "floor.client",
    "drain.process",
    "drain.python",
    "drain.http",
    "drain.check",
    "drain.follow",
    "send.one",
    "send.1",
    "send.16",
    "send.64",
    "send.16.wait",
    "send.process",
    "wake.http",
    "wake.follow",
    "wake.process",
    "wake.doorbell",
    "mcp.send",
    "mcp.check",
    "hook.nothing",
    "hook.python",
    "hook.message",
    "hook.plugin",
    "hook.down",
    "start.health",
    "start.mcp",
    "idle.memory",
    "idle.cpu",
    "search.history",
    "search.word",
    "search.phrase",
    "growth.backlog.waiting.peek.100",
    "growth.backlog.delivered.claim.100",
    "growth.backlog.mixed.claim.100",
    "growth.waiters.1.wake",
    "growth.waiters.10.wake",
    "growth.waiters.10.memory",
}


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'mailbox'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run every scenario at the smallest scale; return the folder of the results and the table."""
    folder = tmp_path_factory.mktemp("results")
    done = bench(
        *("--scale", "smoke", "--folder", str(folder)),
        *("--json", str(folder / "a.json"), "--svg", str(folder / "a.svg")),
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def load(folder: Path) -> Report:
    return from_json((folder / "a.json").read_text(encoding="utf-8"), "a.json")


def test_every_scenario_brings_its_figures(run: tuple[Path, str]) -> None:
    figures = load(run[0]).by_id()

    assert figures.keys() >= OWED
    assert all(figure.count >= 1 and figure.median >= 0 for figure in figures.values())


def test_what_this_machine_lacks_is_named(run: tuple[Path, str]) -> None:
    report = load(run[0])
    measured = {name.split(".")[1] for name in report.by_id() if name.startswith("beside.")}

    assert measured | report.skipped.keys() == {"node", "beanstalkd", "redis", "hcom"}
    assert measured.isdisjoint(report.skipped)


def test_the_table_shows_every_figure_and_the_machine(run: tuple[Path, str]) -> None:
    folder, text = run
    report = load(folder)

    assert all(f"| {figure.title} " in text for figure in report.figures)
    assert f"cores {report.machine['cores']}" in text
    assert "targets: " in text.splitlines()[-1]


def test_the_plot_is_drawn(run: tuple[Path, str]) -> None:
    assert ElementTree.parse(run[0] / "a.svg").getroot().tag.endswith("svg")


def test_nothing_is_left_behind_but_the_results(run: tuple[Path, str]) -> None:
    assert sorted(path.name for path in run[0].iterdir()) == ["a.json", "a.svg"]


def test_two_runs_are_compared_without_measuring(run: tuple[Path, str]) -> None:
    path = str(run[0] / "a.json")
    done = bench("--compare", path, path)

    assert done.returncode == 0, done.stderr
    assert "+0 %" in done.stdout
    assert "better" not in done.stdout


def test_a_missed_target_fails_the_run_only_when_that_is_asked_for(tmp_path: Path) -> None:
    results = ("--json", str(tmp_path / "a.json"), "--svg", str(tmp_path / "a.svg"))
    done = bench("--scale", "smoke", "--only", "floor", "--check", *results)

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (("--compare", "/nowhere/a.json", "/nowhere/b.json"), "Cannot read /nowhere/a.json", 1),
        (("--only", "floor,weather"), "there is no scenario 'weather'", 2),
        (("--scale", "smoke", "--only", "floor", "--folder", "/nowhere"), "/nowhere", 1),
        (("--scale", "smoke", "--only", "floor", "--json", "/dev/null/a"), "Cannot write", 1),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    arguments: tuple[str, ...], sentence: str, code: int
) -> None:
    done = bench(*arguments)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert sentence in done.stderr
