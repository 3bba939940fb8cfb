"""How many connections there may be: in all, and from one address."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class ConnectionLimit:
    """Counts the connections that are open.

    Args:
        limit: how many there may be.
        limit_per_address: how many of them one address may have.
    """

    def __init__(self, limit: int, limit_per_address: int) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._open = 0
        self._by_address: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<ConnectionLimit: {self._open} of {self._limit} open>"

    @contextmanager
    def admit(self, address: str | None) -> Iterator[bool]:
        """Count a connection during the ``with`` block; yield False if it is one too many."""
        if (
            address is None
            or self._open >= self._limit
            or self._by_address[address] >= self._limit_per_address
        ):
            yield False
            return
        self._open += 1
        self._by_address[address] += 1
        try:
            yield True
        finally:
            self._open -= 1
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
