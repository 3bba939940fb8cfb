"""Messages that are held between two sessions: what they say, and how to let them through."""

from collections.abc import Sequence
from dataclasses import dataclass

from quart import Response, g

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.web.inbox.rendering import Renderer
from claude_mailbox.daemon.web.inbox.rows import Item, items
from claude_mailbox.model.history import HistoryEntry
from claude_mailbox.model.names import check_name

# How many messages are looked at, and how much is shown of each.
LIMIT = 500
EXCERPT = 500
# So many of the newest messages between two sessions are shown.
MESSAGES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sessions that write to each other without end.

    Attributes:
        names: of their mailboxes.
        count: how many messages are held between them.
        since: when the first of them was sent, in milliseconds since the epoch.
        newest: the last of them, oldest first.
    """

    names: tuple[str, str]
    count: int
    since: int
    newest: Sequence[Item]


class HeldPages:
    """The page, and what its buttons do.

    Args:
        broker: keeps the messages, and releases them.
        render: makes them of templates.
    """

    def __init__(self, broker: Broker, render: Renderer) -> None:
        self._broker = broker
        self._render = render

    async def held(self) -> str:
        found = await self._broker.holding.entries(limit=LIMIT, excerpt=EXCERPT)
        return await self._render("held.html", pairs=_pairs(found.entries), has_more=found.has_more)

    async def release(self) -> Response:
        one, other = (
            check_name(g.form[key], key) if g.form.get(key) else None for key in ("one", "other")
        )
        await self._broker.holding.release(one, other)
        return Response("", status=303, headers={"Location": "/inbox/held"})


def _pairs(entries: Sequence[HistoryEntry]) -> list[Pair]:
    """Return the pairs, the one that wrote last first, of messages that come newest first."""
    found: dict[tuple[str, str], list[HistoryEntry]] = {}
    for entry in entries:
        one, other = sorted((entry.status.sender, entry.status.recipient))
        found.setdefault((one, other), []).append(entry)
    return [
        Pair(names, len(held), held[-1].status.sent_at, items(held[:MESSAGES_SHOWN][::-1]))
        for names, held in found.items()
    ]
