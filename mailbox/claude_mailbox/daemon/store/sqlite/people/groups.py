"""SQL of groups. A mailbox that is deleted leaves its groups."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import apsw

from claude_mailbox.daemon.store.digests import group_digest_of
from claude_mailbox.daemon.store.operations.people import GroupStore
from claude_mailbox.daemon.store.sqlite.messages.keys import SqliteKeys
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.schema import HELD
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import Candidate, ProjectSession
from claude_mailbox.model.mail import Receipt
from claude_mailbox.refusals import KeyReused


class SqliteGroups(GroupStore):
    def __init__(
        self, connection: apsw.Connection, mailboxes: SqliteMailboxes, keys: SqliteKeys
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._keys = keys

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

    def mark(self, group: str, numbers: Sequence[int]) -> None:
        first = numbers[0]
        self._connection.executemany(
            "UPDATE message SET group_name = ?, copy_of = ?, thread = ifnull(thread, ?)"
            " WHERE id = ?",
            ((group, first, first, number) for number in numbers),
        )

    def sent_before(self, draft: Draft, now: int) -> int | None:
        if draft.key is None:
            return None
        sender = self._mailboxes.present_name(draft.sender) or draft.sender
        found = self._keys.find(sender, draft.key, now)
        if found is None:
            return None
        first, digest = found
        if first.recipient != draft.to or digest != group_digest_of(draft):
            raise KeyReused()
        return first.id

    def keep_key(self, draft: Draft, first: Receipt) -> None:
        if draft.key is not None:
            receipt = replace(first, recipient=draft.to)
            self._keys.keep(draft.sender, draft.key, receipt, group_digest_of(draft))

    def copies(self, first: int) -> Sequence[Receipt]:
        rows = self._connection.execute(
            "SELECT message.id, coalesce(a.name, sender), coalesce(b.name, recipient), sent_at,"
            " b.last_seen_at, state FROM message LEFT JOIN mailbox AS a ON a.id = sender_id"
            " LEFT JOIN mailbox AS b ON b.id = recipient_id WHERE copy_of = ? ORDER BY message.id",
            (first,),
        )
        return [
            Receipt(
                id=number,
                sender=sender,
                recipient=recipient,
                sent_at=sent_at,
                known=last_seen_at is not None,
                last_seen_at=last_seen_at,
                watching=False,
                pending=0,
                duplicate=True,
                is_held=state == HELD,
            )
            for number, sender, recipient, sent_at, last_seen_at, state in rows
        ]

    def project_sessions(self) -> Sequence[ProjectSession]:
        clients: dict[str, list[str]] = {}
        for session_id, key in self._connection.execute("SELECT session_id, key FROM client"):
            clients.setdefault(session_id, []).append(key)
        rows = self._connection.execute(
            "SELECT session.id, mailbox.name, project, max(seen_at, coalesce(last_seen_at, 0))"
            " FROM session JOIN mailbox ON mailbox.id = session.mailbox_id"
            " WHERE ended_at IS NULL ORDER BY 4 DESC"
        )
        return [
            ProjectSession(mailbox, project, active_at, clients.get(session_id, ()))
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
