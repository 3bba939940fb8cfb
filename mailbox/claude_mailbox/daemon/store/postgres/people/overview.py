"""SQL of what the person at this machine may read: all mailboxes and all mail."""

from collections.abc import Iterable, Sequence

from claude_mailbox.daemon.store.operations.overview import OverviewStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.messages.history import LAST_MESSAGE, PostgresHistory
from claude_mailbox.daemon.store.postgres.messages.words import phrases
from claude_mailbox.daemon.store.postgres.schema import HELD
from claude_mailbox.model.history import HistoryEntry, HistoryPage, HistoryQuery
from claude_mailbox.model.mail import Listing

_COLUMNS = (
    "name, last_seen_at, coalesce((SELECT sum(waiting) FROM backlog"
    " WHERE recipient_id = mailbox.id), 0)::int, 0, description"
)


class PostgresOverview(OverviewStore):
    def __init__(self, connection: StoreConnection, history: PostgresHistory) -> None:
        self._connection = connection
        self._history = history

    def mailboxes(
        self,
        seen_since: int,
        awake: Iterable[str] = (),
        *,
        containing: str = "",
        limit: int,
        offset: int = 0,
    ) -> tuple[Sequence[Listing], int]:
        wanted = (
            "FROM mailbox WHERE (coalesce(last_seen_at, created_at) >= %(since)s"
            " OR name = ANY(%(awake)s)) AND position(lower(%(containing)s) IN lower(name)) > 0"
        )
        values = {
            "since": seen_since,
            "awake": list(awake),
            "containing": containing,
            "limit": limit,
            "offset": offset,
        }
        rows = self._connection.execute(
            # Counts waiting messages only for the mailboxes on the page.
            f"SELECT {_COLUMNS} FROM (SELECT * {wanted} ORDER BY coalesce(last_seen_at, created_at)"
            " DESC, id LIMIT %(limit)s OFFSET %(offset)s) AS mailbox"
            " ORDER BY coalesce(last_seen_at, created_at) DESC, id",
            values,
        ).fetchall()
        count = self._connection.execute(f"SELECT count(*) {wanted}", values).fetchone()
        return [Listing(*row) for row in rows], 0 if count is None else count[0]

    def mailbox(self, name: str) -> Listing | None:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mailbox WHERE name = %s", (name,)
        ).fetchone()
        return None if row is None else Listing(*row)

    def recent(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        thread: int | None = None,
        group: str | None = None,
        limit: int,
        excerpt: int,
    ) -> HistoryPage:
        source = "SELECT id FROM message WHERE id > %(after)s AND id < %(before)s"
        if thread is not None:
            source = f"{source} AND thread = %(thread)s UNION {source} AND id = %(thread)s"
        elif group is not None:
            source += " AND group_name = %(group)s"
        rows = self._connection.execute(
            f"{source} ORDER BY id DESC LIMIT %(limit)s",
            {
                "after": after,
                "before": LAST_MESSAGE if before is None else before,
                "thread": thread,
                "group": group,
                "limit": limit + 1,
            },
        ).fetchall()
        return self._page([number for (number,) in rows], limit, excerpt)

    def search(self, query: HistoryQuery, excerpt: int) -> HistoryPage:
        words = " & ".join(phrases(query.words or ""))
        first = self._history.last_unindexed() + 1
        if not words:
            return HistoryPage([], has_more=False)
        rows = self._connection.execute(
            "SELECT id FROM search JOIN message ON id = message_id"
            " WHERE words @@ %(words)s::tsquery AND id BETWEEN %(low)s AND %(high)s"
            " AND sent_at >= %(since)s ORDER BY id DESC LIMIT %(limit)s",
            {
                "words": words,
                "low": first,
                "high": LAST_MESSAGE if query.before is None else query.before - 1,
                "since": query.since or 0,
                "limit": query.limit + 1,
            },
        ).fetchall()
        page = self._page([number for (number,) in rows], query.limit, excerpt)
        return HistoryPage(page.entries, page.has_more or first > 1)

    def held(self, *, limit: int, excerpt: int) -> HistoryPage:
        rows = self._connection.execute(
            f"SELECT id FROM message WHERE state = {HELD} ORDER BY id DESC LIMIT %s", (limit + 1,)
        ).fetchall()
        return self._page([number for (number,) in rows], limit, excerpt)

    def _page(self, numbers: Sequence[int], limit: int, excerpt: int) -> HistoryPage:
        entries = []
        for number in numbers[:limit]:
            body = self._history.text_of(number)
            status = self._history.status_of(number)
            entries.append(HistoryEntry(status, body[:excerpt], len(body)))
        return HistoryPage(entries, has_more=len(numbers) > limit)
