"""What a job can do about the room that the database takes on the disk."""

from typing import Protocol


class SpaceStore(Protocol):
    """The database's files."""

    def vacuum(self) -> bool:
        """Give some of the space back that nothing uses; return whether there is more."""
        ...
