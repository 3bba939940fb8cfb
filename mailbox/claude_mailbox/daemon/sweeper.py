"""What must happen without anybody asking: leases run out, stale mailboxes go, presence is kept.

Each function is a task that runs until it is cancelled. A database that cannot be written now is
survived: the next round tries again.
"""

import logging
from collections.abc import Callable

import trio

from claude_mailbox.daemon.follow import Follow
from claude_mailbox.daemon.handover import Handover
from claude_mailbox.daemon.office import Office
from claude_mailbox.daemon.sessions import Sessions
from claude_mailbox.errors import MailboxError

logger = logging.getLogger(__name__)

TIDY_SECONDS = 30
_RETRY_SECONDS = 1


async def expire_leases(office: Office, clock: Callable[[], int]) -> None:
    """Put messages back when their explicit lease runs out, to the moment."""
    due: int | None = clock()
    while True:
        seconds = float("inf") if due is None else max(0.0, (due - clock()) / 1000)
        with trio.move_on_after(seconds) as rest:
            # Only ever sooner: after a failure, some lease that is due may be known to nobody.
            sooner = await office.expiry_moved()
            due = sooner if due is None else min(due, sooner)
        if not rest.cancelled_caught:
            continue
        try:
            due = await office.expire()
        except MailboxError as error:
            logger.warning("could not look for expired leases: %s", error)
            due = clock() + _RETRY_SECONDS * 1000


async def tidy(office: Office, handover: Handover, follow: Follow) -> None:
    """Write presence down, and make up for settlements and releases that failed."""
    while True:
        await trio.sleep(TIDY_SECONDS)
        try:
            await office.presence.flush()
            await handover.catch_up()
            await office.release_orphans([*handover.held(), *follow.held()])
        except MailboxError as error:
            logger.warning("could not tidy up: %s", error)


async def sweep_mailboxes(office: Office, sessions: Sessions, interval_minutes: int) -> None:
    """Delete stale mailboxes, once at the start and then every *interval_minutes*."""
    while interval_minutes:
        try:
            gone = await office.sweep(await sessions.living())
            if gone:
                logger.info("deleted %d mailboxes that nobody used: %s", len(gone), ", ".join(gone))
        except MailboxError as error:
            logger.warning("could not sweep: %s", error)
        await trio.sleep(interval_minutes * 60)
