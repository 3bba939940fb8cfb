"""SQL of sessions.

A session keeps its row when its empty mailbox is deleted, so that it gets the same name again. The
row is deleted a month later. A session runs on the machine of one daemon, which alone rings it and
knows whether its client runs.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from claude_mailbox.daemon.store.operations.people import SessionStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.schema import DELAYED, HELD
from claude_mailbox.daemon.store.session_names import names_for
from claude_mailbox.errors import InvalidName
from claude_mailbox.model.names import check_new_name
from claude_mailbox.model.sessions import Start, Started, StatusCounts

_FORGET_MILLISECONDS = 30 * 24 * 3600 * 1000
# Most clients of a session, and most sessions without a mailbox, that are kept.
_CLIENTS_LIMIT = 8
_FORMER_LIMIT = 10_000


class PostgresSessions(SessionStore):
    def __init__(
        self, connection: StoreConnection, mailboxes: PostgresMailboxes, daemon_id: str
    ) -> None:
        self._connection = connection
        self._mailboxes = mailboxes
        self._daemon_id = daemon_id

    def start(self, session: Start, now: int, *, is_alive: Callable[[str], bool]) -> Started:
        execute = self._connection.execute
        former = None
        found = self._mailbox(session.session_id)
        if found is None and session.takes_over and session.client is not None:
            former = self.session_of(session.client)
            if former is not None and self.has_other_client(former, session.client, is_alive):
                former = None
            if former is not None:
                found = self._mailbox(former)
                # Its mailbox has a new owner; if it is ever resumed, it gets another one.
                execute("DELETE FROM session WHERE id = %s", (former,))
        has_bell = session.has_bell or (
            self.has_other_client(session.session_id, session.client, is_alive)
            and self._is_rung(session.session_id)
        )
        if found is None:
            found = self._mailboxes.find_or_make(self._free_name(session), now)[:2]
        mailbox_id, mailbox = found
        execute(
            "INSERT INTO session (id, daemon_id, mailbox_id, has_bell, seen_at)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET daemon_id = excluded.daemon_id,"
            " mailbox_id = excluded.mailbox_id, has_bell = excluded.has_bell,"
            " seen_at = excluded.seen_at, ended_at = NULL",
            (session.session_id, self._daemon_id, mailbox_id, has_bell, now),
        )
        if session.client is not None:
            execute(
                "INSERT INTO client (daemon_id, key, session_id) VALUES (%s, %s, %s)"
                " ON CONFLICT (daemon_id, key) DO UPDATE SET session_id = excluded.session_id",
                (self._daemon_id, session.client, session.session_id),
            )
            self._forget_clients(session.session_id, session.client, is_alive)
        self._forget_sessions(now)
        return Started(mailbox, self._mailboxes.counts(mailbox_id)[0], former)

    def _forget_clients(
        self, session_id: str, client: str, is_alive: Callable[[str], bool]
    ) -> None:
        """Forget former clients of the session if there are many, running ones last."""
        rows = self._connection.execute(
            "SELECT key FROM client WHERE session_id = %s AND daemon_id = %s AND key <> %s",
            (session_id, self._daemon_id, client),
        )
        others = sorted((key for (key,) in rows), key=is_alive)
        if len(others) >= _CLIENTS_LIMIT:
            self._connection.execute(
                "DELETE FROM client WHERE daemon_id = %s AND key = ANY(%s)",
                (self._daemon_id, others[: 1 - _CLIENTS_LIMIT]),
            )

    def _forget_sessions(self, now: int) -> None:
        """Forget sessions without a mailbox that are old, or too many."""
        self._connection.execute(
            "DELETE FROM session WHERE mailbox_id IS NULL AND (seen_at < %s OR seen_at <"
            " (SELECT seen_at FROM session WHERE mailbox_id IS NULL"
            f" ORDER BY seen_at DESC LIMIT 1 OFFSET {_FORMER_LIMIT - 1}))",
            (now - _FORGET_MILLISECONDS,),
        )

    def _mailbox(self, session_id: str) -> tuple[int, str] | None:
        """Return the id and present name of a session's mailbox, or None."""
        row = self._connection.execute(
            "SELECT mailbox.id, mailbox.name FROM session"
            " JOIN mailbox ON mailbox.id = session.mailbox_id WHERE session.id = %s",
            (session_id,),
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def _free_name(self, session: Start) -> str:
        """Return a name for the session's mailbox that no other session has: its former one first."""
        rows: list[Any] = self._connection.execute(
            "SELECT name FROM session WHERE id = %s AND name IS NOT NULL", (session.session_id,)
        ).fetchall()
        names: Iterator[str] = chain((name for (name,) in rows), names_for(session))
        return next(name for name in names if self._is_free(name))

    def _is_free(self, name: str) -> bool:
        """Return whether the name is new, or a mailbox without a session, where mail may wait."""
        found = self._mailboxes.find(name)
        if found is None:
            try:
                check_new_name(name)
            except InvalidName:
                return False  # older versions allowed that name
            return True
        mailbox_id, present = found
        return (
            present == name
            and self._connection.execute(
                "SELECT 1 FROM session WHERE mailbox_id = %s LIMIT 1", (mailbox_id,)
            ).fetchone()
            is None
        )

    def end(
        self,
        session_id: str,
        client: str | None,
        now: int,
        *,
        hands_on: bool,
        is_alive: Callable[[str], bool],
    ) -> tuple[str | None, bool]:
        execute = self._connection.execute
        mailbox = self.mailbox_of(session_id)
        if not hands_on:
            # Only if it still has this session: it may have announced its next one already.
            execute(
                "DELETE FROM client WHERE daemon_id = %s AND key = %s AND session_id = %s",
                (self._daemon_id, client, session_id),
            )
        if self.has_other_client(session_id, client, is_alive):
            return mailbox, False
        if not hands_on:
            execute("DELETE FROM client WHERE session_id = %s", (session_id,))
        execute("UPDATE session SET ended_at = %s WHERE id = %s", (now, session_id))
        if hands_on or mailbox is None:
            return mailbox, False
        return mailbox, self._mailboxes.delete(mailbox)

    def has_other_client(
        self, session_id: str, client: str | None, is_alive: Callable[[str], bool]
    ) -> bool:
        # Clients on other machines cannot be checked here.
        others = self._connection.execute(
            "SELECT key FROM client WHERE session_id = %s AND daemon_id = %s"
            " AND key IS DISTINCT FROM %s::text",
            (session_id, self._daemon_id, client),
        ).fetchall()
        return any(is_alive(key) for (key,) in others)

    def _is_rung(self, session_id: str) -> bool:
        row = self._connection.execute(
            "SELECT has_bell FROM session WHERE id = %s AND ended_at IS NULL", (session_id,)
        ).fetchone()
        return row is not None and bool(row[0])

    def mailbox_of(self, session_id: str) -> str | None:
        found = self._mailbox(session_id)
        return None if found is None else found[1]

    def session_of(self, client: str) -> str | None:
        row = self._connection.execute(
            "SELECT session_id FROM client WHERE daemon_id = %s AND key = %s",
            (self._daemon_id, client),
        ).fetchone()
        return None if row is None else row[0]

    def with_bell(self) -> set[str]:
        rows = self._connection.execute(
            "SELECT id FROM session WHERE daemon_id = %s AND ended_at IS NULL AND has_bell",
            (self._daemon_id,),
        )
        return {session_id for (session_id,) in rows}

    def waiting(self) -> Sequence[tuple[str, str]]:
        rows = self._connection.execute(
            "SELECT mailbox.name, session.id FROM session"
            " JOIN mailbox ON mailbox.id = session.mailbox_id"
            " WHERE daemon_id = %s AND session.ended_at IS NULL AND session.has_bell AND EXISTS"
            " (SELECT 1 FROM backlog WHERE recipient_id = mailbox.id AND waiting > quiet)",
            (self._daemon_id,),
        )
        return [(mailbox, session_id) for mailbox, session_id in rows]

    def set_bell(self, session_id: str, *, has_bell: bool) -> None:
        self._connection.execute(
            "UPDATE session SET has_bell = %s WHERE id = %s", (has_bell, session_id)
        )

    def status_counts(self, user: str) -> Sequence[StatusCounts]:
        rows = self._connection.execute(
            "SELECT coalesce(session.id, ''), mailbox.name, sum(unread)::int, sum(questions)::int FROM ("
            "SELECT recipient_id AS mailbox_id, waiting AS unread, 0 AS questions"
            " FROM backlog WHERE waiting > 0"
            " UNION ALL SELECT recipient_id, 0, 1 FROM message"
            f" WHERE answer_by IS NOT NULL AND outcome IS NULL AND state NOT IN ({DELAYED}, {HELD})"
            ") AS part JOIN mailbox ON mailbox.id = part.mailbox_id LEFT JOIN session"
            " ON session.mailbox_id = mailbox.id AND session.ended_at IS NULL AND session.daemon_id = %s"
            " WHERE session.id IS NOT NULL OR mailbox.name = %s"
            " GROUP BY session.id, mailbox.name",
            (self._daemon_id, user),
        )
        return [StatusCounts(*row) for row in rows]

    def clients(self) -> Sequence[tuple[str, str]]:
        rows = self._connection.execute(
            "SELECT client.key, mailbox.name FROM client"
            " JOIN session ON session.id = client.session_id"
            " JOIN mailbox ON mailbox.id = session.mailbox_id WHERE client.daemon_id = %s",
            (self._daemon_id,),
        )
        return [(key, mailbox) for key, mailbox in rows]
