"""What a disk may hold after a power cut, made from a record of what was done to it.

The rules are Linux's. A write goes to pages in memory, and any of these may reach the disk before
they are flushed, in any order. A flush that succeeds brings all of them there. After one that fails
they count as clean although nobody knows which of them arrived, so later flushes leave them out,
until something is written to them again.
"""

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = 4096
_HEAD = struct.Struct("<cHQI")


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the record.

    Attributes:
        end: where the entry ends in the record: tells before and after.
        kind: W(rite), T(runcate), S(ynced), F(ailed to sync) or U(nlinked).
    """

    end: int
    kind: str
    name: str
    offset: int
    data: bytes


def read_record(path: Path) -> list[Operation]:
    """Return all that was done to the disk."""
    content = path.read_bytes()
    operations = []
    position = 0
    while position < len(content):
        kind, name_length, offset, length = _HEAD.unpack_from(content, position)
        position += _HEAD.size
        name = content[position : position + name_length].decode()
        position += name_length
        data = content[position : position + length]
        position += length
        operations.append(Operation(position, kind.decode(), name, offset, data))
    return operations


@dataclass
class _File:
    memory: bytearray = field(default_factory=bytearray)
    disk: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)
    size_is_dirty: bool = False

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if len(self.memory) < end:
            self.memory.extend(bytes(end - len(self.memory)))
        self.memory[offset:end] = data
        self.dirty.update(range(offset // _PAGE, (end - 1) // _PAGE + 1))

    def truncate(self, size: int) -> None:
        del self.memory[size:]
        self.memory.extend(bytes(size - len(self.memory)))
        self.dirty = {page for page in self.dirty if page * _PAGE < size}
        self.size_is_dirty = True

    def flush(self, pages: set[int], *, with_size: bool) -> None:
        """Bring *pages* to the disk, and the file's new size if that was changed."""
        self.disk = self._with(pages, with_size=with_size)
        self.dirty = set()
        self.size_is_dirty = False

    def cut(self, dice: random.Random) -> bytes:
        """Return what the disk may hold if the power goes now."""
        return bytes(self._with(_some(self.dirty, dice), with_size=dice.random() < 0.5))

    def _with(self, pages: set[int], *, with_size: bool) -> bytearray:
        disk = bytearray(self.disk)
        if self.size_is_dirty and with_size:
            del disk[len(self.memory) :]
        for page in sorted(pages):
            data = self.memory[page * _PAGE : (page + 1) * _PAGE]
            if len(disk) < page * _PAGE + len(data):
                disk.extend(bytes(page * _PAGE + len(data) - len(disk)))
            disk[page * _PAGE : page * _PAGE + len(data)] = data
        return disk


def _some(pages: set[int], dice: random.Random) -> set[int]:
    """Return none of the pages, or each with the same chance."""
    chance = dice.choice([0.0, 0.0, 0.3, 0.7, 1.0])
    return {page for page in sorted(pages) if dice.random() < chance}


def images(
    operations: Sequence[Operation], dice: random.Random, *, share: float = 1.0
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Yield what the disk may hold if the power goes after an operation.

    Args:
        operations: the record.
        dice: decides which pages arrived.
        share: part of all operations to cut the power after, picked by chance.

    Returns:
        Where in the record the cut is, and the content of each file by name.
    """
    files: dict[str, _File] = {}
    for operation in operations:
        file = files.setdefault(operation.name, _File())
        if operation.kind == "W":
            file.write(operation.offset, operation.data)
        elif operation.kind == "T":
            file.truncate(operation.offset)
        elif operation.kind == "S":
            file.flush(set(file.dirty), with_size=True)
        elif operation.kind == "F":
            file.flush(_some(file.dirty, dice), with_size=dice.random() < 0.5)
        else:
            del files[operation.name]
        if dice.random() < share:
            yield operation.end, {name: each.cut(dice) for name, each in files.items()}
