"""The long form of test_sharing.py: faults at random, for as long as one likes (`make soak`)."""

import argparse
import itertools
import random
import sys
import time

import trio

from crash.sharing import three_daemons
from support.postgres import MISSING, PostgresServer


async def run_round(number: int) -> str:
    """Let everything happen to three daemons, several times; return what came of it."""
    dice = random.Random(number)
    with PostgresServer(durable=True) as server, three_daemons(server, dice) as sharing:
        await sharing.work(sharing.faults(dice.randrange(4, 16)), between=dice.randrange(20, 400))
        sharing.check()
        return sharing.summary()


def main() -> int:
    """Run rounds until the time is over; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long to go on")
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    options = parser.parse_args()
    if MISSING is not None:
        print(MISSING, file=sys.stderr)
        return 0
    end = time.monotonic() + options.seconds
    for number in itertools.count(options.first):
        if time.monotonic() > end:
            break
        print(f"round {number}: {trio.run(run_round, number)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
