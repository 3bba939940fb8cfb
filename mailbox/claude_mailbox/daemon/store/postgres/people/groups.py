"""SQL of groups. A mailbox that is deleted leaves its groups."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from claude_mailbox.daemon.store.digests import group_digest_of
from claude_mailbox.daemon.store.operations.people import GroupStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.messages.keys import PostgresKeys
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import HELD
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import Candidate, ProjectSession
from claude_mailbox.model.mail import Receipt
from claude_mailbox.refusals import KeyReused


class PostgresGroups(GroupStore):
    def __init__(
        self,
        connection: StoreConnection,
        mailboxes: PostgresMailboxes,
        keys: PostgresKeys,
        daemon_id: str,
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._keys = keys
        self._daemon_id = daemon_id

    def join(self, group: str, mailbox: str, now: int) -> None:
        mailbox_id = self._mailboxes.find_or_make(mailbox, now)[0]
        self._connection.execute(
            "INSERT INTO membership (group_name, mailbox_id, joined_at) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (group, mailbox_id, now),
        )

    def leave(self, group: str, mailbox: str) -> bool:
        found = self._mailboxes.find(mailbox)
        left = self._connection.execute(
            "DELETE FROM membership WHERE group_name = %s AND mailbox_id = %s",
            (group, None if found is None else found[0]),
        ).rowcount
        return left > 0

    def members(self, group: str | None = None) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for group_name, mailbox in self._connection.execute(
            "SELECT group_name, mailbox.name FROM membership JOIN mailbox ON mailbox.id = mailbox_id"
            " WHERE %(group)s::text IS NULL OR group_name = %(group)s"
            " ORDER BY group_name, joined_at, mailbox_id",
            {"group": group},
        ):
            found.setdefault(group_name, []).append(mailbox)
        return found

    def mark(self, group: str, numbers: Sequence[int]) -> None:
        self._connection.execute(
            "UPDATE message SET group_name = %(group)s, copy_of = %(first)s,"
            " thread = coalesce(thread, %(first)s) WHERE id = ANY(%(numbers)s)",
            {"group": group, "first": numbers[0], "numbers": list(numbers)},
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
            " LEFT JOIN mailbox AS b ON b.id = recipient_id WHERE copy_of = %s ORDER BY message.id",
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
        # Only keys of clients on this machine: whether others run is unknown here.
        for session_id, key in self._connection.execute(
            "SELECT session_id, key FROM client WHERE daemon_id = %s", (self._daemon_id,)
        ):
            clients.setdefault(session_id, []).append(key)
        rows = self._connection.execute(
            "SELECT session.id, mailbox.name, project, greatest(seen_at, last_seen_at) AS active_at"
            " FROM session JOIN mailbox ON mailbox.id = session.mailbox_id"
            " WHERE ended_at IS NULL ORDER BY active_at DESC"
        )
        return [
            ProjectSession(mailbox, project, active_at, clients.get(session_id, ()))
            for session_id, mailbox, project, active_at in rows
        ]

    def candidates(self, limit: int) -> Sequence[Candidate]:
        rows = self._connection.execute(
            "SELECT name, (SELECT project FROM session WHERE mailbox_id = mailbox.id"
            " ORDER BY ended_at IS NOT NULL, seen_at DESC LIMIT 1)"
            " FROM mailbox WHERE last_seen_at IS NOT NULL ORDER BY last_seen_at DESC LIMIT %s",
            (limit,),
        )
        return [Candidate(name, project) for name, project in rows]
