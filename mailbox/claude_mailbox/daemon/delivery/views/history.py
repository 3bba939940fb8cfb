"""What a mailbox sent and got, and the full-text index of it.

Messages are indexed a second after they were sent, in small jobs of the ledger. While the ledger has
other jobs, indexing takes 2 % of its time; the rest is indexed when it is idle, or before a search.
What is not indexed when the daemon stops is indexed at its next run.
"""

import logging
from collections.abc import Callable

import trio

from claude_mailbox.daemon.delivery.leasing.expiry import Expiry
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.history import HistoryPage, HistoryQuery
from claude_mailbox.model.mail import CHECK_BYTES, CHECK_LIMIT

logger = logging.getLogger(__name__)

DELAY_SECONDS = 1.0
RETRY_SECONDS = 30.0
# The pause after an indexing job, as a multiple of the time that it took.
_PAUSE_BUSY = 49
_PAUSE_QUIET = 1
# Most indexing jobs that a search waits for: 2,000 messages.
_CATCH_UP_JOBS = 20


class History:
    """Finds messages, and keeps the index.

    Args:
        ledger: where messages are kept.
        expiry: runs what is due before messages are read.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, ledger: Ledger, expiry: Expiry, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._expiry = expiry
        self._clock = clock
        self._has_stored = trio.Event()

    def note(self) -> None:
        """Note that a message was stored."""
        self._has_stored.set()

    async def page(self, mailbox: str, query: HistoryQuery) -> HistoryPage:
        """Return messages that *mailbox* sent or got, newest first."""
        if query.words is not None:
            await self._catch_up()
        return await self._expiry.run_after(
            self._clock(),
            lambda transaction: transaction.history.history(mailbox, query),
            brief=False,
        )

    async def search(self, query: HistoryQuery, *, excerpt: int) -> HistoryPage:
        """Return messages of all mailboxes that match the words, newest first."""
        await self._catch_up()
        return await self._expiry.run_after(
            self._clock(),
            lambda transaction: transaction.overview.search(query, excerpt),
            brief=False,
        )

    async def recent(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        thread: int | None = None,
        group: str | None = None,
        limit: int,
        excerpt: int,
    ) -> HistoryPage:
        """Return messages of all mailboxes, newest first; see ``OverviewStore.recent``."""
        return await self._expiry.run_after(
            self._clock(),
            lambda transaction: transaction.overview.recent(
                after=after,
                before=before,
                thread=thread,
                group=group,
                limit=limit,
                excerpt=excerpt,
            ),
            brief=False,
        )

    async def waiting(self, mailbox: str) -> HistoryPage:
        """Return the messages that wait in *mailbox*, in the order of delivery; take none."""
        return await self._expiry.run_after(
            self._clock(),
            lambda transaction: transaction.history.waiting(mailbox, CHECK_LIMIT, CHECK_BYTES),
            brief=False,
        )

    async def _catch_up(self) -> None:
        jobs = 0
        while jobs < _CATCH_UP_JOBS and await self._index():
            jobs += 1

    async def _index(self) -> bool:
        """Index some messages; return whether more remain."""
        return await self._ledger.run(
            lambda transaction: transaction.history.index(), durable=False
        )

    async def serve(self) -> None:
        """Index what was sent, until cancelled; retry after a failure."""
        while True:
            self._has_stored = trio.Event()
            try:
                await self._index_all()
            except MailboxError as error:
                logger.warning("could not index messages: %s", error)
                await trio.sleep(RETRY_SECONDS)
                continue
            await self._has_stored.wait()
            await trio.sleep(DELAY_SECONDS)

    async def _index_all(self) -> None:
        pause = 0.0
        remain = True
        while remain:
            jobs = self._ledger.jobs
            await trio.sleep(pause)
            is_quiet = jobs == self._ledger.jobs
            started = trio.current_time()
            remain = await self._index()
            took = trio.current_time() - started
            pause = took * (_PAUSE_QUIET if is_quiet else _PAUSE_BUSY)
