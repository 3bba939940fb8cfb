"""Coding-agent sessions: each has a mailbox, which it keeps for as long as it lives.

A session is known by its id. Its mailbox stays its own through renames, changes of the working
folder, compaction, resumption and restarts of the daemon. ``/clear`` ends a session and starts
another one in the same process, which takes the mailbox over.

Tool calls come with the key of the client process instead of a session id, and a client connects
before its session is announced: so a key is looked up at each call.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.sessions import processes
from claude_mailbox.daemon.delivery.sessions.doorbell import Doorbell, RingListener
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.limits import MINUTE
from claude_mailbox.model.mail import Listing
from claude_mailbox.model.sessions import Start

PEERS_LIMIT = 10
PEERS_MINUTES = 60
# What the client calls it when a session is replaced by an empty one: `/clear`.
CLEAR = "clear"
# How long a session that goes on in another client waits for the former one to end: it has 1.5
# seconds for the hooks of the session's end.
LEAVE_SECONDS = 2.0
_LEAVE_PAUSE_SECONDS = 0.05


class SessionTaken(MailboxError):
    """Another client, which is alive, runs that session."""

    code = "session-taken"
    status = 409


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a session is told when it starts.

    Attributes:
        name: its mailbox.
        pending: messages that wait there.
        bell: the file to watch, or None when the session cannot be rung.
        peers: mailboxes used lately, newest first, each with whether it is watched.
        more_peers: how many more there are.
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
        # What the database says of a session and whether its bell is there must not come apart
        # when one client ends it and another one goes on with it.
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
        """Give a session its mailbox, at its start and whenever it goes on.

        Args:
            session: the session.
            peer_minutes: how long ago those may have been seen that it is told of.
            max_peers: how many of them are named.

        Raises:
            SessionTaken: if another client runs it, and goes on doing so.
        """
        deadline = trio.current_time() + LEAVE_SECONDS
        while True:
            async with self._one_at_a_time:
                if not await self._is_taken(session):
                    return await self._start(session, peer_minutes, int(max_peers))
            if trio.current_time() > deadline:
                raise SessionTaken(
                    "This session runs in another client already, whose mailbox it is: end that"
                    " client, or begin a session of your own."
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
        """End a session; its mailbox goes when nothing pends there in either direction.

        Returns:
            The mailbox's name, None for an unknown session; and whether it was deleted.
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
        """Let somebody hear the rings of a session that runs on another machine.

        For the duration of the block the session has a bell.
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
        """Write down whether a session has a bell; return its mailbox."""

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
        """Return the mailboxes of sessions whose client still runs, however long it has idled."""
        clients = await self._ledger.run(
            lambda transaction: transaction.sessions.clients(), durable=False
        )
        return [mailbox for key, mailbox in clients if processes.is_alive(key)]

    async def restore(self) -> None:
        """Listen again for the sessions that were there when the daemon ended, and ring them."""
        listeners, waiting = await self._ledger.run(
            lambda transaction: (transaction.sessions.with_bell(), transaction.sessions.waiting()),
            durable=False,
        )
        await self._doorbell.restore(listeners)
        for mailbox in {mailbox for mailbox, _ in waiting}:
            self._doorbell.ring_later(mailbox)
