"""How many connections there may be: in all, and from one address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Places:
    """The connections that there are now.

    Args:
        limit: how many there may be.
        limit_of_one: how many of them one address may have.
    """

    def __init__(self, limit: int, limit_of_one: int) -> None:
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._taken = 0
        self._by_address: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Places: {self._taken} of {self._limit} taken>"

    @contextmanager
    def taken(self, address: str | None) -> Iterator[bool]:
        """Take a place for the duration of the block; false if there is none."""
        if (
            address is None
            or self._taken >= self._limit
            or self._by_address[address] >= self._limit_of_one
        ):
            yield False
            return
        self._taken += 1
        self._by_address[address] += 1
        try:
            yield True
        finally:
            self._taken -= 1
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
