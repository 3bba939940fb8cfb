"""What a job can do about the size of the database."""

from typing import Protocol


class SpaceStore(Protocol):
    """The database's files."""

    def vacuum(self) -> bool:
        """Return some unused space to the file system; return whether there is more."""
        ...
