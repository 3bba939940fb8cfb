"""Search over the mail of all mailboxes, of which each has an index of its own.

They are asked one after the other, those that were used last first, each in a job of its own: so
other requests go on in between, however many mailboxes there are.
"""

import heapq
from collections.abc import Iterable

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.model.history import HistoryEntry, HistoryQuery

# How long a search goes on, in seconds.
SEARCH_SECONDS = 2.0


async def search(
    broker: Broker, mailboxes: Iterable[str], query: HistoryQuery
) -> tuple[list[HistoryEntry], bool]:
    """Return what was found in the mailboxes, newest first, and whether all were searched."""
    found: dict[int, HistoryEntry] = {}
    deadline = trio.current_time() + SEARCH_SECONDS
    for name in mailboxes:
        if trio.current_time() > deadline:
            return _newest(found, query.limit), False
        page = await broker.history.page(name, query)
        found.update((entry.status.id, entry) for entry in page.entries)
        if len(found) > 4 * query.limit:
            found = {entry.status.id: entry for entry in _newest(found, query.limit)}
    return _newest(found, query.limit), True


def _newest(found: dict[int, HistoryEntry], limit: int) -> list[HistoryEntry]:
    return [found[number] for number in heapq.nlargest(limit, found)]
