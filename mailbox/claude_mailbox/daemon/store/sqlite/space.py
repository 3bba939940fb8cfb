"""Space that nothing uses any more goes back to the disk, some pages at a time.

SQLite keeps free pages for what comes later. To give them back it would copy the whole database
(VACUUM), for which everybody had to wait; in a file that was made for it, it moves single pages from
the end of the file into free places instead, and cuts the file.
"""

import logging

import apsw

from claude_mailbox.daemon.store.operations.space import SpaceStore

logger = logging.getLogger(__name__)

_INCREMENTAL = 2
# Larger databases of older versions stay as they are: to rewrite them would take too long at a start.
REWRITTEN_BYTES = 256 * 1024 * 1024
# For what comes later, at least a megabyte and the eighth part of the file stay free.
_KEPT_PAGES = 256
_KEPT_PART = 8
# A millisecond of work.
_STEP_PAGES = 64


class SqliteSpace(SpaceStore):
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def vacuum(self) -> bool:
        if self._number("auto_vacuum") != _INCREMENTAL:
            return False
        free = self._number("freelist_count")
        spare = free - max(_KEPT_PAGES, self._number("page_count") // _KEPT_PART)
        if spare <= 0:
            return False
        self._connection.pragma("incremental_vacuum", min(spare, _STEP_PAGES))
        return spare > _STEP_PAGES

    def _number(self, pragma: str) -> int:
        return int(str(self._connection.pragma(pragma)))


def prepare_new(connection: apsw.Connection) -> None:
    """Let a file that has nothing yet be made for it."""
    connection.pragma("auto_vacuum", _INCREMENTAL)


def rewrite_old(connection: apsw.Connection) -> None:
    """Rewrite the file of an older version once, if it is not large, so that it is made for it."""
    if connection.pragma("auto_vacuum") == _INCREMENTAL:
        return
    size = int(str(connection.pragma("page_count"))) * int(str(connection.pragma("page_size")))
    if size > REWRITTEN_BYTES:
        return
    connection.pragma("auto_vacuum", _INCREMENTAL)
    try:
        connection.execute("VACUUM")
    except apsw.FullError:
        logger.warning(
            "the disk has no room to rewrite the database, which stays as large as it is"
        )
