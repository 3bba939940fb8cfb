"""Coding-agent sessions: each has a mailbox for as long as it exists.

A session is known by its id. It keeps its mailbox through renames, changes of the working folder,
compaction, resumption and restarts of the daemon. ``/clear`` ends a session and starts another one
in the same process, which takes over the mailbox.

A tool call carries the key of the client process instead of a session id. The client connects before
its session is announced, so the key is looked up at each call.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import trio

from claude_mailbox.daemon.delivery.bells.doorbell import Doorbell, RingListener
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.limits import MINUTE
from claude_mailbox.model.mail import Listing
from claude_mailbox.model.sessions import Start

PEERS_LIMIT = 10
PEERS_MINUTES = 60
# The client's reason for an end, and source of a start, when the user runs `/clear`.
CLEAR = "clear"
# How long a session that is resumed in another client waits for the former client to end: that has
# 1.5 seconds to run its hooks.
LEAVE_SECONDS = 2.0
_LEAVE_PAUSE_SECONDS = 0.05


class SessionTaken(MailboxError):
    """Another client runs that session."""

    code = "session-taken"
    status = 409


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a session is told when it starts.

    Attributes:
        name: its mailbox.
        pending: how many messages wait there.
        bell: the file to watch, or None if the session cannot be rung.
        peers: mailboxes used lately, last used first, each with whether it is watched.
        more_peers: how many others were used lately.
    """

    name: str
    pending: int
    bell: str | None
    peers: Sequence[tuple[Listing, bool]]
    more_peers: int


class Sessions:
    """All sessions. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        broker: where their mailboxes are.
        doorbell: rings them.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(
        self, ledger: Ledger, broker: Broker, doorbell: Doorbell, clock: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._doorbell = doorbell
        self._clock = clock
        # The database and the bell must agree when one client ends a session while another one
        # resumes it.
        self._one_at_a_time = trio.Lock()

    def __repr__(self) -> str:
        return f"<Sessions: {self._doorbell!r}>"

    async def start(
        self,
        session: Start,
        *,
        peer_minutes: float = PEERS_MINUTES,
        max_peers: float = PEERS_LIMIT,
    ) -> Welcome:
        """Give a session its mailbox, at its start and whenever it is resumed.

        Args:
            session: the session.
            peer_minutes: tell it of mailboxes that were used within this time.
            max_peers: most mailboxes to tell of.

        Raises:
            SessionTaken: if another client runs it, and does not end within two seconds.
        """
        deadline = trio.current_time() + LEAVE_SECONDS
        while True:
            async with self._one_at_a_time:
                if not await self._is_taken(session):
                    return await self._start(session, peer_minutes, int(max_peers))
            if trio.current_time() > deadline:
                raise SessionTaken(
                    "This session already runs in another client, which has its mailbox: end that"
                    " client, or start a new session."
                )
            await trio.sleep(_LEAVE_PAUSE_SECONDS)

    async def _is_taken(self, session: Start) -> bool:
        return await self._ledger.run(
            lambda transaction: transaction.sessions.has_other_client(
                session.session_id, session.client, processes.is_surely_alive
            ),
            durable=False,
        )

    async def _start(self, session: Start, peer_minutes: float, max_peers: int) -> Welcome:
        now = self._clock()
        bell = await self._doorbell.add(session.session_id) if session.has_bell else None
        if self._doorbell.is_heard(session.session_id):
            session = replace(session, has_bell=True)
        started = await self._ledger.run(
            lambda transaction: transaction.sessions.start(
                session, now, is_alive=processes.is_alive
            )
        )
        if started.former is not None:
            await self._doorbell.remove(started.former)
        self._broker.presence.note(started.mailbox)
        self._broker.changes.note()
        if started.pending and bell is not None:
            self._doorbell.ring_later(started.mailbox)
        since = now - peer_minutes * MINUTE
        rows = await self._broker.listings.all(show_hidden=peer_minutes > PEERS_MINUTES)
        recent = [
            row
            for row in rows
            if row[0].name != started.mailbox and (row[0].last_seen_at or 0) >= since
        ]
        peers = recent[:max_peers]
        return Welcome(started.mailbox, started.pending, bell, peers, len(recent) - len(peers))

    async def end(
        self, session_id: str, reason: str, client: str | None
    ) -> tuple[str | None, bool]:
        """End a session, and delete its mailbox if nothing pends there in either direction.

        Returns:
            The mailbox's name, or None for an unknown session; and whether it was deleted.
        """
        now = self._clock()

        def job(transaction: Transaction) -> tuple[str | None, bool, bool]:
            name, deleted = transaction.sessions.end(
                session_id,
                client,
                now,
                hands_on=reason == CLEAR,
                is_alive=processes.is_alive,
            )
            return name, deleted, session_id in transaction.sessions.with_bell()

        async with self._one_at_a_time:
            name, deleted, goes_on = await self._ledger.run(job)
            if not goes_on:
                await self._doorbell.remove(session_id)
        self._broker.changes.note()
        if deleted:
            self._broker.presence.forget_names()
        return name, deleted

    @asynccontextmanager
    async def listening(self, session_id: str) -> AsyncIterator[RingListener]:
        """Listen to the rings of a session on another machine.

        During the ``with`` block the session counts as one that mail wakes.
        """
        listener = self._doorbell.listen(session_id)
        try:
            mailbox = await self._set_bell(session_id, has_bell=True)
            if mailbox is not None:
                self._doorbell.ring_later(mailbox)
            yield listener
        finally:
            self._doorbell.unlisten(session_id, listener)
            if not self._doorbell.is_heard(session_id):
                with trio.CancelScope(shield=True), suppress(MailboxError):
                    await self._set_bell(session_id, has_bell=False)

    async def _set_bell(self, session_id: str, *, has_bell: bool) -> str | None:
        """Write down whether mail wakes a session; return its mailbox."""

        def job(transaction: Transaction) -> str | None:
            transaction.sessions.set_bell(session_id, has_bell=has_bell)
            return transaction.sessions.mailbox_of(session_id)

        return await self._ledger.run(job, durable=False, brief=True)

    async def mailbox_of(self, session_id: str) -> str | None:
        """Return the present name of a session's mailbox, or None."""
        return await self._ledger.run(
            lambda transaction: transaction.sessions.mailbox_of(session_id),
            durable=False,
            brief=True,
        )

    async def session_of(self, client: str) -> str | None:
        """Return the session that a client process runs now, or None."""
        return await self._ledger.run(
            lambda transaction: transaction.sessions.session_of(client), durable=False, brief=True
        )

    async def mailbox_of_client(self, client: str) -> str | None:
        """Return the mailbox of the session that a client process runs now, or None."""

        def job(transaction: Transaction) -> str | None:
            session_id = transaction.sessions.session_of(client)
            return None if session_id is None else transaction.sessions.mailbox_of(session_id)

        return await self._ledger.run(job, durable=False)

    async def running(self) -> list[str]:
        """Return the mailboxes of sessions whose client runs, even if it has long been idle."""
        clients = await self._ledger.run(
            lambda transaction: transaction.sessions.clients(), durable=False
        )
        return [mailbox for key, mailbox in clients if processes.is_alive(key)]

    async def restore(self) -> None:
        """Ring the sessions of the daemon's last run again, and those now that have mail."""
        session_ids, waiting = await self._ledger.run(
            lambda transaction: (transaction.sessions.with_bell(), transaction.sessions.waiting()),
            durable=False,
        )
        await self._doorbell.restore(session_ids)
        for mailbox in {mailbox for mailbox, _ in waiting}:
            self._doorbell.ring_later(mailbox)
