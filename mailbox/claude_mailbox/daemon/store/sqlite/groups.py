"""SQL of groups, and of who there is to be written to.

Whoever is deleted leaves his groups.
"""

from collections.abc import Mapping, Sequence

import apsw

from claude_mailbox.daemon.store.operations import GroupStore
from claude_mailbox.daemon.store.sqlite.mailboxes import SqliteMailboxes
from claude_mailbox.model.groups import Candidate, Place


class SqliteGroups(GroupStore):
    def __init__(self, connection: apsw.Connection, mailboxes: SqliteMailboxes) -> None:
        self._connection = connection
        self._mailboxes = mailboxes

    def join(self, group: str, mailbox: str, now: int) -> None:
        mailbox_id, _ = self._mailboxes.find_or_make(mailbox, now)
        self._connection.execute(
            "INSERT OR IGNORE INTO membership (group_name, mailbox_id, joined_at) VALUES (?, ?, ?)",
            (group, mailbox_id, now),
        )

    def leave(self, group: str, mailbox: str) -> bool:
        found = self._mailboxes.find(mailbox)
        self._connection.execute(
            "DELETE FROM membership WHERE group_name = ? AND mailbox_id = ?",
            (group, found and found[0]),
        )
        return self._connection.changes() > 0

    def members(self, group: str | None = None) -> Mapping[str, Sequence[str]]:
        condition, values = ("", ()) if group is None else (" WHERE group_name = ?", (group,))
        found: dict[str, list[str]] = {}
        for group_name, mailbox in self._connection.execute(
            "SELECT group_name, mailbox.name FROM membership"
            f" JOIN mailbox ON mailbox.id = mailbox_id{condition} ORDER BY group_name, joined_at",
            values,
        ):
            found.setdefault(group_name, []).append(mailbox)
        return found

    def places(self) -> Sequence[Place]:
        clients: dict[str, list[str]] = {}
        for session_id, key in self._connection.execute("SELECT session_id, key FROM client"):
            clients.setdefault(session_id, []).append(key)
        rows = self._connection.execute(
            "SELECT session.id, mailbox.name, project, max(seen_at, coalesce(last_seen_at, 0))"
            " FROM session JOIN mailbox ON mailbox.id = session.mailbox_id"
            " WHERE ended_at IS NULL ORDER BY 4 DESC"
        )
        return [
            Place(mailbox, project, active_at, clients.get(session_id, ()))
            for session_id, mailbox, project, active_at in rows
        ]

    def candidates(self, limit: int) -> Sequence[Candidate]:
        rows = self._connection.execute(
            "SELECT name, (SELECT project FROM session WHERE mailbox_id = mailbox.id"
            " ORDER BY ended_at IS NOT NULL, seen_at DESC LIMIT 1)"
            " FROM mailbox WHERE last_seen_at IS NOT NULL ORDER BY last_seen_at DESC LIMIT ?",
            (limit,),
        )
        return [Candidate(name, project) for name, project in rows]
