"""Which connections are too many: in all, and from one address."""

from collections import Counter
from collections.abc import Sequence


def surplus(addresses: Sequence[str], limit: int, limit_per_address: int) -> list[int]:
    """Return the places of the connections that are too many; those before them may stay.

    Args:
        addresses: that of the client of each open connection.
        limit: how many there may be.
        limit_per_address: how many of them one address may have.
    """
    kept: Counter[str] = Counter()
    found = []
    for place, address in enumerate(addresses):
        if kept.total() >= limit or kept[address] >= limit_per_address:
            found.append(place)
        else:
            kept[address] += 1
    return found
