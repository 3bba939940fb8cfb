"""The long form of test_power_cut.py: failures at random, for as long as one likes (`make soak`).

A round that finds something ends the run with its number, which repeats it: ``--first NUMBER``.
"""

import argparse
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

from crash.accepted import Mailer, check_power_cuts
from support.daemon import DaemonProcess
from support.faulty_disk import FaultyDisk

_CUTS = 400
_FAULTS = list(itertools.product(["sync", "sync", "write", "short"], ["-wal", ".db"]))


def run_round(number: int, folder: Path) -> tuple[int, int]:
    """Let the disk fail and the daemon die several times; return how many sends and power cuts."""
    dice = random.Random(number)
    (folder / "disk").mkdir()
    (folder / "image").mkdir()
    disk = FaultyDisk(folder / "disk", records=True)
    with (
        DaemonProcess(environment=disk.environment) as process,
        Mailer(process, disk, dice) as mailer,
    ):
        for _ in range(dice.randrange(1, 5)):
            mailer.work(dice.randrange(60))
            operation, file = dice.choice(_FAULTS)
            disk.fail(operation, file, after=dice.randrange(4), times=dice.choice([1, 1, 2, 5]))
            mailer.work(dice.randrange(150))
            if dice.random() < 0.5:
                process.kill()
                mailer.start_again()
            disk.heal()
        mailer.work(20)
    cuts = check_power_cuts(disk, mailer.promises, folder / "image", dice, limit=_CUTS)
    return len(mailer.promises.accepted), cuts


def main() -> int:
    """Run rounds until the time is over; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long to go on")
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    sends = cuts = 0
    for number in itertools.count(options.first):
        if time.monotonic() > end:
            break
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(
            prefix="cmb-soak-", dir=memory if memory.is_dir() else None
        ) as folder:
            try:
                more_sends, more_cuts = run_round(number, Path(folder))
            except AssertionError as error:
                print(f"round {number}: {error}", file=sys.stderr)
                return 1
        sends += more_sends
        cuts += more_cuts
        print(
            f"round {number}: {sends} sends accepted, {cuts} power cuts, nothing lost", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
