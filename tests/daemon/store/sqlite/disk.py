"""A disk that can be watched and made to fail, between SQLite and the real one."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw


class Disk(apsw.VFS):
    """SQLite's own access to files, with a counter of syncs and switches for failure.

    Attributes:
        syncs: how often each file was synced, by the end of its name ("-wal" for the journal).
        failure: what every write raises from now on, or None.
        is_read_only: whether files can be opened for reading alone.
        unsyncable: the files whose syncs fail from now on, by the end of their names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = next(each for each in apsw.vfs_names() if each != name)
        super().__init__(name, self.base)
        self.syncs: Counter[str] = Counter()
        self.failure: type[apsw.Error] | None = None
        self.is_read_only = False
        self.unsyncable: set[str] = set()

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802  # SQLite's names
        """Open a file on the real disk."""
        if self.is_read_only and flags[0] & apsw.SQLITE_OPEN_READWRITE:
            flags[0] ^= apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_READONLY
            flags[0] &= ~apsw.SQLITE_OPEN_CREATE
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__(disk.base, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        kinds = ("-wal", "-journal")
        self._kind = next((kind for kind in kinds if path.endswith(kind)), "main")
        self._disk = disk

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Sync and count it, or fail as told."""
        if self._kind in self._disk.unsyncable:
            raise _error(apsw.IOError, apsw.SQLITE_IOERR_FSYNC)
        self._disk.syncs[self._kind] += 1
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write, or fail as told."""
        if self._disk.failure is not None:
            raise _error(self._disk.failure, apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)


def _error(kind: type[apsw.Error], code: int) -> apsw.Error:
    error = kind("the disk fails")
    if kind is apsw.IOError:
        error.extendedresult = code  # type: ignore[attr-defined]
    return error


@contextmanager
def watched_disk() -> Iterator[Disk]:
    """Put all databases opened in the ``with`` block on a watched disk."""
    before = apsw.vfs_names()[0]
    disk = Disk("watched")
    apsw.set_default_vfs(disk.name)
    try:
        yield disk
    finally:
        apsw.set_default_vfs(before)
        disk.unregister()
