"""SQL of sessions: which session has which mailbox, and which client process runs which session.

Plain functions of a connection, as in store.py. A session keeps its row when its empty mailbox
is deleted, so that it finds its name again; the row goes a month later.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import apsw

from claude_mailbox.daemon.store.sqlite import mail as store

_FORGET_MILLISECONDS = 30 * 24 * 3600 * 1000
_SUFFIX_STEP = 4
_SHORT_SUFFIX = 8


@dataclass(frozen=True, slots=True)
class Start:
    """A session that starts, resumes or goes on.

    Attributes:
        session_id: the client's id of it.
        name: the mailbox that it would like to have.
        client: what tells its process from others, or None when that is not known.
        has_bell: whether the client watches a file for it.
        takes_over: whether it goes on in the place of the session that this client ran before.
    """

    session_id: str
    name: str
    client: str | None
    has_bell: bool
    takes_over: bool


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start.

    Attributes:
        mailbox: present name of the session's mailbox.
        pending: messages that wait there.
        former: the session whose place it took, or None.
    """

    mailbox: str
    pending: int
    former: str | None


def start(connection: apsw.Connection, session: Start, now: int) -> Started:
    """Give a session its mailbox: the one that it had, or takes over, or a new one."""
    former = None
    mailbox_id = _mailbox_id(connection, session.session_id)
    if mailbox_id is None and session.takes_over and session.client is not None:
        former = session_of_client(connection, session.client)
        if former is not None:
            mailbox_id = _mailbox_id(connection, former)
            # Its mailbox has a new owner: should it be resumed one day, it gets another one.
            connection.execute("DELETE FROM session WHERE id = ?", (former,))
    if mailbox_id is None:
        name = _free_name(connection, session)
        mailbox_id, _ = store.register(connection, name, now)
    connection.execute(
        "INSERT INTO session (id, mailbox_id, has_bell, seen_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET mailbox_id = excluded.mailbox_id, has_bell = excluded.has_bell,"
        " seen_at = excluded.seen_at, ended_at = NULL",
        (session.session_id, mailbox_id, session.has_bell, now),
    )
    if session.client is not None:
        connection.execute(
            "INSERT INTO client (key, session_id) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET session_id = excluded.session_id",
            (session.client, session.session_id),
        )
    connection.execute(
        "DELETE FROM session WHERE mailbox_id IS NULL AND seen_at < ?",
        (now - _FORGET_MILLISECONDS,),
    )
    mailbox = mailbox_of(connection, session.session_id)
    assert mailbox is not None, "it was made above"  # noqa: S101  # for mypy
    return Started(mailbox, store.peek(connection, mailbox).pending, former)


def _mailbox_id(connection: apsw.Connection, session_id: str) -> int | None:
    for (mailbox_id,) in connection.execute(
        "SELECT mailbox_id FROM session WHERE id = ?", (session_id,)
    ):
        return mailbox_id  # type: ignore[no-any-return]  # an INTEGER column
    return None


def _free_name(connection: apsw.Connection, session: Start) -> str:
    """Return a name for a new mailbox of the session that no other session has."""
    return next(name for name in _wishes(connection, session) if _is_free(connection, name))


def _wishes(connection: apsw.Connection, session: Start) -> Iterator[str]:
    """Yield names: the one it had, the one it asks for, then ever longer ones."""
    for (name,) in connection.execute(
        "SELECT name FROM session WHERE id = ? AND name IS NOT NULL", (session.session_id,)
    ):
        yield name
    yield session.name
    letters = "".join(c for c in session.session_id.lower() if c.isascii() and c.isalnum())
    stem = session.name.removesuffix(letters[:_SHORT_SUFFIX])
    if stem != session.name:
        for length in range(_SHORT_SUFFIX + _SUFFIX_STEP, len(letters) + 1, _SUFFIX_STEP):
            yield stem + letters[:length]
    number = 2
    while True:
        yield f"{session.name}-{number}"
        number += 1


def _is_free(connection: apsw.Connection, name: str) -> bool:
    """Say whether the name is new, or a mailbox that no session has: mail may wait there."""
    found = store.resolve(connection, name)
    if found is None:
        return True
    mailbox_id, present = found
    owned = connection.execute("SELECT 1 FROM session WHERE mailbox_id = ?", (mailbox_id,))
    return present == name and not owned.fetchall()


def end(
    connection: apsw.Connection,
    session_id: str,
    client: str | None,
    now: int,
    *,
    hands_on: bool,
    is_alive: Callable[[str], bool],
) -> tuple[str | None, bool]:
    """End a session; delete its mailbox when nothing pends there in either direction.

    With *hands_on* the mailbox stays in any case, for the next session of the same client. A
    session that another living client still runs has not ended.

    Returns:
        The name of its mailbox, None for an unknown session; and whether it was deleted.
    """
    mailbox = mailbox_of(connection, session_id)
    if hands_on:
        connection.execute("UPDATE session SET ended_at = ? WHERE id = ?", (now, session_id))
        return mailbox, False
    # Only if it still runs this one: the news of the next session may have overtaken us.
    connection.execute("DELETE FROM client WHERE key = ? AND session_id = ?", (client, session_id))
    others = connection.execute("SELECT key FROM client WHERE session_id = ?", (session_id,))
    if client is not None and any(is_alive(key) for (key,) in others):
        return mailbox, False
    connection.execute("DELETE FROM client WHERE session_id = ?", (session_id,))
    connection.execute("UPDATE session SET ended_at = ? WHERE id = ?", (now, session_id))
    return mailbox, mailbox is not None and store.delete(connection, mailbox)


def mailbox_of(connection: apsw.Connection, session_id: str) -> str | None:
    """Return the present name of a session's mailbox, or None when it has none."""
    for (name,) in connection.execute(
        "SELECT mailbox.name FROM session JOIN mailbox ON mailbox.id = session.mailbox_id"
        " WHERE session.id = ?",
        (session_id,),
    ):
        return name  # type: ignore[no-any-return]  # a TEXT column
    return None


def session_of_client(connection: apsw.Connection, client: str) -> str | None:
    """Return the session that a client process runs, or None."""
    for (session_id,) in connection.execute(
        "SELECT session_id FROM client WHERE key = ?", (client,)
    ):
        return session_id  # type: ignore[no-any-return]  # a TEXT column
    return None


def listeners(connection: apsw.Connection) -> set[str]:
    """Return the sessions that have not ended and watch a bell."""
    return {
        session_id
        for (session_id,) in connection.execute(
            "SELECT id FROM session WHERE ended_at IS NULL AND has_bell"
        )
    }


def waiting(connection: apsw.Connection) -> Sequence[tuple[str, str]]:
    """Return mailbox and session of each bell that has reason to ring: mail waits."""
    rows = connection.execute(
        "SELECT mailbox.name, session.id FROM session"
        " JOIN mailbox ON mailbox.id = session.mailbox_id"
        " WHERE session.ended_at IS NULL AND session.has_bell AND EXISTS"
        " (SELECT 1 FROM backlog WHERE recipient_id = mailbox.id AND waiting > 0)"
    )
    return [(mailbox, session_id) for mailbox, session_id in rows]


def clients(connection: apsw.Connection) -> Sequence[tuple[str, str]]:
    """Return each client process's key with the mailbox of the session that it runs."""
    rows = connection.execute(
        "SELECT client.key, mailbox.name FROM client"
        " JOIN session ON session.id = client.session_id"
        " JOIN mailbox ON mailbox.id = session.mailbox_id"
    )
    return [(key, mailbox) for key, mailbox in rows]
