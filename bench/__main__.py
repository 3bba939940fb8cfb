"""Command line of the harness."""

import argparse
import datetime
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Collection

from bench import compare, machine, plot, report, table
from bench.context import SCALES, Bench
from bench.errors import BenchError
from bench.scenarios import SCENARIOS, floor
from bench.targets import judge
from claude_mailbox import __version__

_DESCRIPTORS = 8192
_RESULTS = os.path.join(os.path.dirname(os.path.relpath(__file__)), "results")


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what a user of claude-mailbox waits for."
    )
    parser.add_argument("--scale", choices=SCALES, default="quick", help="how much to do")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--only", type=_names(names), default=names, metavar="A,B", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--folder", help="where the throw-away homes are made: a folder on a disk")
    parser.add_argument(
        "--json", metavar="FILE", help=f"write the figures there, not to {_RESULTS}"
    )
    parser.add_argument("--svg", metavar="FILE", help="draw them against their targets there")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help="measure nothing: compare two JSON files",
    )
    return parser


def _names(known: list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no scenario '{name}'")
        return names

    return parse


def _run(options: argparse.Namespace) -> int:
    if options.compare:
        before, after = (report.from_json(_read(path), path) for path in options.compare)
        print(compare.render(before, after))
        return 0
    if options.folder and not os.path.isdir(options.folder):
        raise BenchError(f"There is no folder {options.folder}: make it, or give another one.")
    result = _measure(options.scale, options.only, options.folder)
    print(f"\n{table.render(result)}")
    usual = os.path.join(_RESULTS, f"local-{options.scale}")
    _write(options.json or f"{usual}.json", report.to_json(result))
    _write(options.svg or f"{usual}.svg", plot.render(result))
    missed = [outcome for outcome in judge(result.by_id()) if outcome.is_met is False]
    return 1 if options.check and missed else 0


def _measure(scale: str, names: Collection[str], folder: str | None) -> report.Report:
    _raise_descriptor_limit()
    recorder = report.Recorder()
    bench = Bench(SCALES[scale], recorder, folder)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    begin = time.monotonic()
    neighbors = machine.Neighbors()
    for scenario in SCENARIOS:
        if scenario.name in names:
            print(f"{time.monotonic() - begin:5.0f} s  {scenario.title}", file=sys.stderr)
            recorder.group = floor.GROUP
            floor.sample(bench)
            recorder.group = scenario.title
            scenario.run(bench)
    return report.Report(
        scale=scale,
        started_at=started_at,
        version=__version__,
        machine={
            **machine.describe(folder or tempfile.gettempdir()),
            "others": f"{neighbors.share():.0f} % of the CPUs",
        },
        figures=recorder.figures(),
        skipped=bench.skipped,
        seconds=time.monotonic() - begin,
    )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror}.") from None


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"wrote {os.path.relpath(path)}", file=sys.stderr)
    except OSError as error:
        raise BenchError(f"Cannot write {path}: {error.strerror}.") from None


def _raise_descriptor_limit() -> None:
    """Allow for thousands of connections, here and in the daemons, as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
