"""What a commit without a sync is worth: a killed process loses nothing of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction

# Runs one job through a real ledger and dies the moment that it is answered.
WRITER = """
import os, signal, sys
import trio
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.model.drafts import Draft

async def main(path, durable):
    ledger = Ledger(await SqliteEngine.open(path))
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.serve)
        await ledger.run(lambda transaction: transaction.mail.send(Draft("a", "b", "hello"), 1), durable=durable)
        os.kill(os.getpid(), signal.SIGKILL)

trio.run(main, sys.argv[1], sys.argv[2] == "durable")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
@pytest.mark.parametrize("durable", ["durable", "light"])
def test_a_job_that_was_answered_is_there(scratch: Path, durable: str) -> None:
    """With a sync or without one: what was answered has reached the system."""
    path = str(scratch / "mailbox.db")
    for number in range(1, 4):
        process = subprocess.run([sys.executable, "-c", WRITER, path, durable], check=False)
        assert process.returncode == -9
        connection = open_database(path)
        assert create_transaction(connection).mail.peek("b").pending == number
        connection.close()
