"""Background work: delete idle mailboxes and old keys, write presence, release orphaned leases.

``tidy``, ``sweep_mailboxes``, ``forget_texts`` and ``vacuum`` are tasks that run until they are
cancelled. When the database cannot be written, they log it and try again later.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

import trio

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.limits import MINUTE
from claude_mailbox.model.mail import KEY_MILLISECONDS

logger = logging.getLogger(__name__)

TIDY_SECONDS = 30
DAY = 24 * 3600 * 1000
# Between the small jobs of a long task, so that other jobs are not kept waiting.
PAUSE_SECONDS = 0.01


class Housekeeping:
    """Keeps the database tidy.

    Args:
        ledger: runs the jobs.
        broker: releases leases.
        lines: who waits for mail.
        presence: who was seen.
        config: ages and intervals.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: Broker,
        lines: WaiterLines,
        presence: Presence,
        config: Config,
        clock: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._lines = lines
        self._presence = presence
        self._config = config
        self._clock = clock
        self._suspects: set[str] = set()
        self._has_freed = trio.Event()

    async def correct_times(self) -> None:
        """Correct times of an earlier run whose clock was ahead of the present one."""
        now = self._clock()
        await self._ledger.run(
            lambda transaction: transaction.mailboxes.correct_times(now), durable=False
        )

    async def release_bound(self) -> None:
        """Release all connection-bound leases; called at the start, when no connection is left."""
        await self._broker.leases.release(sorted(await self._bound_tokens()))

    async def release_orphans(self, held: Iterable[str]) -> None:
        """Release connection-bound leases that no response holds.

        Only those that were orphans at the previous call, too: a lease made a moment ago may not
        have reached its response yet.
        """
        held = set(held)
        bound = await self._bound_tokens()
        orphans = self._suspects & bound - held
        self._suspects = bound - held - orphans
        if orphans:
            await self._broker.leases.release(sorted(orphans))

    async def _bound_tokens(self) -> set[str]:
        return await self._ledger.run(
            lambda transaction: transaction.leases.bound_tokens(), durable=False
        )

    async def forget_keys(self) -> None:
        """Delete idempotency keys, and counts for the limits, that are older than a day."""
        before = self._clock() - KEY_MILLISECONDS

        def job(transaction: Transaction) -> None:
            transaction.mail.forget_keys(before)
            # The configuration allows no window of more than a day.
            transaction.exchanges.forget(before)

        await self._ledger.run(job, durable=False)

    async def sweep(self, spare: Iterable[str] = ()) -> list[str]:
        """Delete idle mailboxes without pending mail, except *spare*; return their names."""
        age = self._config.delete_after_minutes * MINUTE
        if not age:
            return []
        idle_since = self._clock() - age
        watched = self._lines.watched()
        for name in watched:
            self._presence.note(name)
        keep = [*watched, *spare]
        seen = self._presence.take()

        # One job, so that no mailbox is used between the two steps.
        def job(transaction: Transaction) -> list[str]:
            transaction.mailboxes.mark_seen(seen)
            return transaction.mailboxes.delete_idle(idle_since, keep)

        try:
            gone = await self._ledger.run(job)
        except BaseException:
            self._presence.restore(seen)
            raise
        if gone:
            self._presence.forget_names()
        return gone

    async def tidy(
        self, settle_late: Callable[[], Awaitable[None]], held: Callable[[], Iterable[str]]
    ) -> None:
        """Write presence, repeat settlements and releases that failed, and forget old keys.

        Args:
            settle_late: settles leases that could not be settled when their response had left.
            held: returns the leases that open responses hold.
        """
        while True:
            await trio.sleep(TIDY_SECONDS)
            try:
                await self._presence.flush()
                await settle_late()
                await self.release_orphans(held())
                await self.forget_keys()
            except MailboxError as error:
                logger.warning("could not tidy up: %s", error)

    async def forget_texts(self) -> None:
        """Delete the texts of messages older than ``keepDays``, once a day."""
        while self._config.keep_days:
            sent_before = self._clock() - self._config.keep_days * DAY
            position: int | None = 0
            try:
                while position is not None:
                    position = await self._forget_some(position, sent_before)
                    await trio.sleep(PAUSE_SECONDS)
                self._has_freed.set()
            except MailboxError as error:
                logger.warning("could not delete old texts: %s", error)
            await trio.sleep(DAY / 1000)

    async def _forget_some(self, after: int, sent_before: int) -> int | None:
        return await self._ledger.run(
            lambda transaction: transaction.history.forget_texts(after, sent_before), durable=False
        )

    async def vacuum(self) -> None:
        """Return unused space of the database to the file system."""
        while True:
            self._has_freed = trio.Event()
            remains = True
            try:
                while remains:
                    remains = await self._vacuum_some()
                    await trio.sleep(PAUSE_SECONDS)
            except MailboxError as error:
                logger.warning("could not return unused space to the disk: %s", error)
            with trio.move_on_after(TIDY_SECONDS):
                await self._has_freed.wait()

    async def _vacuum_some(self) -> bool:
        return await self._ledger.run(lambda transaction: transaction.space.vacuum(), durable=False)

    async def sweep_mailboxes(self, running: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Delete idle mailboxes now, and then at the configured interval.

        Args:
            running: returns the mailboxes of running sessions, which are kept.
        """
        interval_minutes = self._config.sweep_interval_minutes
        while interval_minutes:
            try:
                gone = await self.sweep(await running())
                if gone:
                    logger.info(
                        "deleted %d mailboxes that nobody used: %s", len(gone), ", ".join(gone)
                    )
            except MailboxError as error:
                logger.warning("could not delete idle mailboxes: %s", error)
            await trio.sleep(interval_minutes * 60)
