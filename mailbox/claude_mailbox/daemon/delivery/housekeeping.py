"""What must happen without anybody asking: leases run out, stale mailboxes go, presence is kept.

Each function is a task that runs until it is cancelled. A database that cannot be written now is
survived: the next round tries again.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.sessions import Sessions
from claude_mailbox.errors import MailboxError

logger = logging.getLogger(__name__)

TIDY_SECONDS = 30
_RETRY_SECONDS = 1


async def expire_leases(broker: Broker, clock: Callable[[], int]) -> None:
    """Put messages back when their explicit lease runs out, to the moment."""
    due: int | None = clock()
    while True:
        seconds = float("inf") if due is None else max(0.0, (due - clock()) / 1000)
        with trio.move_on_after(seconds) as rest:
            # Only ever sooner: after a failure, some lease that is due may be known to nobody.
            sooner = await broker.expiry_moved()
            due = sooner if due is None else min(due, sooner)
        if not rest.cancelled_caught:
            continue
        try:
            due = await broker.expire()
        except MailboxError as error:
            logger.warning("could not look for expired leases: %s", error)
            due = clock() + _RETRY_SECONDS * 1000


async def tidy(
    broker: Broker, settle_late: Callable[[], Awaitable[None]], held: Callable[[], Iterable[str]]
) -> None:
    """Write presence down, and make up for settlements and releases that failed.

    Args:
        broker: where leases are kept.
        settle_late: settles what could not be settled when its response left.
        held: returns the leases that living responses answer for.
    """
    while True:
        await trio.sleep(TIDY_SECONDS)
        try:
            await broker.presence.flush()
            await settle_late()
            await broker.release_orphans(held())
        except MailboxError as error:
            logger.warning("could not tidy up: %s", error)


async def sweep_mailboxes(broker: Broker, sessions: Sessions, interval_minutes: int) -> None:
    """Delete stale mailboxes, once at the start and then every *interval_minutes*."""
    while interval_minutes:
        try:
            gone = await broker.sweep(await sessions.living())
            if gone:
                logger.info("deleted %d mailboxes that nobody used: %s", len(gone), ", ".join(gone))
        except MailboxError as error:
            logger.warning("could not sweep: %s", error)
        await trio.sleep(interval_minutes * 60)
