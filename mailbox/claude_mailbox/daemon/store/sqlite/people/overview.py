"""SQL of what the person at this machine may read: all mailboxes and all mail.

The full-text index (see indexing.py) has a row of each message for mailbox 0, so a search in all mail
reads as little as one in a single mailbox.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from claude_mailbox.daemon.store.operations.overview import OverviewStore
from claude_mailbox.daemon.store.sqlite.messages.history import SqliteHistory, expression
from claude_mailbox.daemon.store.sqlite.messages.indexing import LAST_MESSAGE, SearchIndex
from claude_mailbox.daemon.store.sqlite.schema import HELD
from claude_mailbox.model.history import HistoryEntry, HistoryPage, HistoryQuery
from claude_mailbox.model.mail import Listing

_COLUMNS = (
    "name, last_seen_at, coalesce((SELECT sum(waiting) FROM backlog"
    " WHERE recipient_id = mailbox.id), 0), 0, description"
)


class SqliteOverview(OverviewStore):
    def __init__(
        self, connection: apsw.Connection, history: SqliteHistory, index: SearchIndex
    ) -> None:
        self._connection = connection
        self._history = history
        self._index = index

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
            "FROM mailbox WHERE (coalesce(last_seen_at, created_at) >= :since"
            " OR name IN (SELECT value FROM json_each(:awake)))"
            " AND instr(lower(name), lower(:containing)) > 0"
        )
        values = {
            "since": seen_since,
            "awake": json.dumps(list(awake)),
            "containing": containing,
            "limit": limit,
            "offset": offset,
        }
        rows = self._connection.execute(
            # Counts waiting messages only for the mailboxes on the page.
            f"SELECT {_COLUMNS} FROM (SELECT * {wanted}"
            " ORDER BY coalesce(last_seen_at, created_at) DESC, id LIMIT :limit OFFSET :offset)"
            " AS mailbox ORDER BY coalesce(last_seen_at, created_at) DESC, id",
            values,
        )
        listings = [Listing(*row) for row in rows]
        return listings, self._connection.execute(f"SELECT count(*) {wanted}", values).get

    def mailbox(self, name: str) -> Listing | None:
        row: Any = self._connection.execute(
            f"SELECT {_COLUMNS} FROM mailbox WHERE name = ?", (name,)
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
        source = "SELECT id FROM message WHERE id > :after AND id < :before"
        if thread is not None:
            source = (
                "SELECT id FROM message WHERE thread = :thread AND id > :after AND id < :before"
                " UNION SELECT id FROM message WHERE id = :thread AND id > :after AND id < :before"
            )
        elif group is not None:
            source += " AND group_name = :group"
        rows: list[Any] = self._connection.execute(
            f"{source} ORDER BY id DESC LIMIT :limit",
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
        first = self._index.last_missing() + 1
        high = LAST_MESSAGE if query.before is None else query.before - 1
        numbers: list[int] = []
        for number, sent_at in self._connection.execute(
            "SELECT search.rowid, sent_at FROM search CROSS JOIN message ON message.id = search.rowid"
            " WHERE search MATCH ? AND search.rowid BETWEEN ? AND ? ORDER BY search.rowid DESC",
            (expression(query.words or "", None), first, high),
        ):
            if (query.since is not None and sent_at < query.since) or len(numbers) > query.limit:
                break
            numbers.append(number)
        page = self._page(numbers, query.limit, excerpt)
        return HistoryPage(page.entries, page.has_more or first > 1)

    def held(self, *, limit: int, excerpt: int) -> HistoryPage:
        rows: list[Any] = self._connection.execute(
            "SELECT id FROM message INDEXED BY message_held"
            f" WHERE state = {HELD} ORDER BY id DESC LIMIT ?",
            (limit + 1,),
        ).fetchall()
        return self._page([number for (number,) in rows], limit, excerpt)

    def _page(self, numbers: Sequence[int], limit: int, excerpt: int) -> HistoryPage:
        entries = []
        for number in numbers[:limit]:
            body = self._connection.execute(
                "SELECT substr(text, 1, ?), length(text) FROM body WHERE message_id = ?",
                (excerpt, number),
            ).get
            entries.append(HistoryEntry(self._history.status_of(number), *body))
        return HistoryPage(entries, has_more=len(numbers) > limit)
