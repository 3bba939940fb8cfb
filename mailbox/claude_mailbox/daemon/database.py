"""The one connection, on APSW's worker thread."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import apsw
import apsw.aio
import trio

from claude_mailbox.daemon.schema import open_database

T = TypeVar("T")


class Database:
    """The connection, on APSW's worker thread. ``run`` is the ledger's runner."""

    def __init__(self, controller: apsw.aio.Trio, connection: apsw.Connection) -> None:
        self._controller = controller
        self._connection = connection
        self._is_open = True

    @classmethod
    async def open(cls, path: str) -> "Database":
        controller = apsw.aio.Trio(thread_name="ledger")
        try:
            return cls(controller, await _on_thread(controller, partial(open_database, path)))
        except BaseException:
            controller.close()  # type: ignore[no-untyped-call]
            raise

    async def run(self, function: Callable[[apsw.Connection], T]) -> T:
        return await _on_thread(self._controller, partial(function, self._connection))

    async def close(self) -> None:
        """Checkpoint and close; once is enough."""
        if self._is_open:
            self._is_open = False
            await self.run(_checkpoint_and_close)
            self._controller.close()  # type: ignore[no-untyped-call]


async def _on_thread(controller: apsw.aio.Trio, call: Callable[[], T]) -> T:
    # Shielded and so without a deadline: a commit is never abandoned half way.
    with trio.CancelScope(shield=True):
        value: T = await controller.send(call)
    return value


def _checkpoint_and_close(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
