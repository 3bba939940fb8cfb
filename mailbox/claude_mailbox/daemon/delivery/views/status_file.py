"""A small file with what waits for each session, which ``statusline`` reads instead of a request.

``statusline`` makes the file when it is first run; the daemon writes only a file that exists. Its
first line has the daemon's pid and the number of held messages. Each other line has a session id
(empty for the user), a mailbox, its waiting messages and its open questions. Fields are separated by
tabs.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import astuple

import trio

from claude_mailbox import paths
from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.sending.holding import LIMIT
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.sessions import StatusCounts

logger = logging.getLogger(__name__)

# The file is written at most this often.
PAUSE_SECONDS = 1.0


class StatusFile:
    """Keeps the file up to date.

    Args:
        ledger: counts what waits.
        changes: counts changes.
        path: the file's.
        user: name of the mailbox of the person at this machine.
    """

    def __init__(self, ledger: Ledger, changes: Changes, path: str, user: str) -> None:
        self._ledger = ledger
        self._changes = changes
        self._path = path
        self._user = user

    async def serve(self) -> None:
        """Write the file after every change, until cancelled; empty it at the end."""
        written = -1
        try:
            while True:
                # ``statusline`` makes an empty file.
                size = paths.size(self._path)
                if size is not None and (self._changes.count > written or size == 0):
                    written = self._changes.count
                    await self._write()
                await trio.sleep(PAUSE_SECONDS)
        finally:
            if paths.size(self._path) is not None:
                self._replace("")

    async def _write(self) -> None:
        def job(transaction: Transaction) -> tuple[Sequence[StatusCounts], int]:
            return transaction.sessions.status_counts(self._user), len(
                transaction.exchanges.held(LIMIT)
            )

        try:
            rows, held = await self._ledger.run(job, durable=False)
        except MailboxError as error:
            logger.warning("could not count what waits: %s", error)
            return
        lines = [f"{os.getpid()}\t{held}", *("\t".join(map(str, astuple(row))) for row in rows)]
        self._replace("\n".join(lines) + "\n")

    def _replace(self, content: str) -> None:
        """Write the file atomically."""
        temporary = f"{self._path}.new"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(content)
            os.replace(temporary, self._path)
        except OSError as error:
            logger.warning("could not write %s: %s", self._path, error)
