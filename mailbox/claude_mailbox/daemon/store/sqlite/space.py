"""Returns unused space to the file system, some pages at a time.

SQLite keeps free pages for later use. VACUUM would copy the whole database, and everything would
wait. In a database with incremental vacuum, single pages are moved from the end of the file into free
pages instead, and the file is cut.
"""

import logging

import apsw

from claude_mailbox.daemon.store.operations.space import SpaceStore

logger = logging.getLogger(__name__)

_INCREMENTAL = 2
# Larger databases of older versions are not rewritten: the start would take too long.
REWRITTEN_BYTES = 256 * 1024 * 1024
# So many pages, and one part in so many of the file, stay free for later use.
_KEPT_PAGES = 256
_KEPT_PART = 8
# Takes about a millisecond.
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
    """Switch incremental vacuum on in an empty database."""
    connection.pragma("auto_vacuum", _INCREMENTAL)


def rewrite_old(connection: apsw.Connection) -> None:
    """Rewrite the database of an older version with incremental vacuum, unless it is large."""
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
