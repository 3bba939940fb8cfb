"""Three daemons on one PostgreSQL, through everything that can befall them.

`make soak` does the same for as long as one likes.
"""

import os
import random

import pytest

from crash.sharing import three_daemons
from support.postgres import MISSING, PostgresServer

SEED = int(os.environ.get("MAILBOX_CRASH_SEED", "0")) or random.SystemRandom().randrange(2**32)


@pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
async def test_nothing_is_lost_and_nothing_acked_comes_back() -> None:
    """What was answered is received, what was acked came once, and a mailbox held its order."""
    print(f"MAILBOX_CRASH_SEED={SEED}")
    dice = random.Random(SEED)
    with (
        PostgresServer(durable=True) as server,
        three_daemons(server, dice, dead_seconds=4) as sharing,
    ):
        await sharing.work(sharing.faults(4), between=40)
        print(sharing.summary())
        sharing.check()
