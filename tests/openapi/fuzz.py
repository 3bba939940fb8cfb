"""Calls the daemon as its OpenAPI document says, and looks for deviations, by schemathesis."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.daemon import DaemonProcess

_CONFIG = Path(__file__).with_name("schemathesis.toml")


def run(
    daemon: DaemonProcess, folder: Path, arguments: Sequence[str], document: str | None = None
) -> tuple[int, str]:
    """Return how many requests were made, and the report, which is empty if all went well."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG), "run"]
    result = subprocess.run(
        [*command, document or f"{daemon.url}/openapi.json", "--url", daemon.url, *arguments],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi.schemathesis_hooks"}
        | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    report = result.stdout + result.stderr
    found = re.search(r"(\d+) generated", report)
    return int(found[1]) if found else 0, report if result.returncode else ""


def main() -> int:
    """Make so many requests; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="how many requests at least")
    options = parser.parse_args()
    calls = 0
    while calls < options.calls:
        with DaemonProcess() as daemon:
            more, report = run(daemon, daemon.home.parent, ["--max-examples", "200"])
        calls += more
        print(report or f"{calls} calls, no deviation", flush=True)
        if report or not more:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
