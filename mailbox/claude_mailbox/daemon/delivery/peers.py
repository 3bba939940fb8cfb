"""Other daemons on the same database: what we tell them, and what we do with what they tell us.

Each daemon calls the front of its own line, and one claim wins. Whatever is told may be lost: a
slow look around finds it all the same, some seconds later.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import trio

from claude_mailbox.daemon.delivery.presence import Presence
from claude_mailbox.daemon.delivery.receipts import Receipts
from claude_mailbox.daemon.delivery.sessions.doorbell import Bell
from claude_mailbox.daemon.delivery.waiters import WaiterLines
from claude_mailbox.daemon.store.peers import Notice, Round
from claude_mailbox.errors import MailboxError, Renamed

logger = logging.getLogger(__name__)

# Given the mailboxes that somebody waits at.
LookAround = Callable[[Sequence[str]], Awaitable[Round]]

LOOK_AROUND_SECONDS = 4.0
# Whoever waits for a receipt on one daemon is not told of an ack on another one: he looks.
RECEIPT_SECONDS = 1.0


class Peers(Protocol):
    """Takes what other daemons should know. Never blocks."""

    def note_mail(self, mailbox: str) -> None:
        """Tell that mail waits in *mailbox* and nobody here takes it."""
        ...

    def note_rename(self, old: str, new: str) -> None:
        """Tell that a mailbox has a new name."""
        ...

    def note_other(self) -> None:
        """Tell that mailboxes are gone."""
        ...


class NoPeers(Peers):
    """A daemon that has the database to itself."""

    def note_mail(self, mailbox: str) -> None:
        pass

    def note_rename(self, old: str, new: str) -> None:
        pass

    def note_other(self) -> None:
        pass


class PeerNews:
    """Applies what other daemons tell.

    Args:
        lines: who waits here.
        bell: rings the sessions of this machine.
        presence: which names are known.
        receipts: who waits for what becomes of a message.
        look_around: looks for what was missed.
        announce: says that mail waits, to everybody.
    """

    def __init__(
        self,
        lines: WaiterLines,
        bell: Bell,
        presence: Presence,
        receipts: Receipts,
        look_around: LookAround,
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        self._lines = lines
        self._bell = bell
        self._presence = presence
        self._receipts = receipts
        self._look_around = look_around
        self._announce = announce
        self._hurry = trio.Event()
        self.daemons: Sequence[str] = ()
        """The names of the daemons that are alive, as of the last look around."""

    async def apply(self, notices: AsyncIterator[Notice]) -> None:
        """Apply notices until cancelled."""
        async for notice in notices:
            if notice.renamed or notice.other or notice.is_beginning:
                self._presence.forget_names()
            for old, new in notice.renamed:
                self._lines.dismiss(old, Renamed(old, new))
            for name in notice.mail:
                if not self._lines.call_front(name):
                    self._bell.ring(name)
            if notice.other or notice.is_beginning:
                self._hurry.set()

    async def look_around(self) -> None:
        """Look around once.

        Raises:
            MailboxError: if that cannot be done now.
        """
        found = await self._look_around(self._lines.watched())
        self.daemons = found.daemons
        self._announce(found.put_back)
        for name in found.to_call:
            self._lines.call_front(name)

    async def serve(self) -> None:
        """Look around now and then, until cancelled."""
        while True:
            self._hurry = trio.Event()
            try:
                await self.look_around()
            except MailboxError as error:
                logger.debug("could not look around: %s", error)
            with trio.move_on_after(LOOK_AROUND_SECONDS):
                await self._hurry.wait()

    async def call_for_receipts(self) -> None:
        """Let everybody who waits for a receipt look, now and then, until cancelled."""
        while True:
            await trio.sleep(RECEIPT_SECONDS)
            self._receipts.call_all()
