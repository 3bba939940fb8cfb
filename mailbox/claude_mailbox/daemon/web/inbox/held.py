"""The page of held messages, with a button to release them."""

from collections.abc import Sequence
from dataclasses import dataclass

from quart import Response, g

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.web.inbox.rendering import Renderer
from claude_mailbox.daemon.web.inbox.rows import Item, items
from claude_mailbox.model.history import HistoryEntry
from claude_mailbox.model.names import check_name

# Most messages that are read, and characters of each.
LIMIT = 500
EXCERPT = 500
# Most messages that are shown for two sessions, the newest ones.
MESSAGES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sessions between which messages are held.

    Attributes:
        names: their mailboxes.
        count: how many messages are held.
        since: when the first of them was sent, in milliseconds since the epoch.
        newest: the newest of them, oldest first.
    """

    names: tuple[str, str]
    count: int
    since: int
    newest: Sequence[Item]


class HeldPages:
    """The page, and its button.

    Args:
        broker: lists and releases the messages.
        render: renders the page.
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
    """Return the pairs, the one with the newest message first; *entries* are newest first."""
    found: dict[tuple[str, str], list[HistoryEntry]] = {}
    for entry in entries:
        one, other = sorted((entry.status.sender, entry.status.recipient))
        found.setdefault((one, other), []).append(entry)
    return [
        Pair(names, len(held), held[-1].status.sent_at, items(held[:MESSAGES_SHOWN][::-1]))
        for names, held in found.items()
    ]
