"""When each mailbox was last used: kept in memory, and written to the database now and then.

A commit for each request would cost more than the request. So only the first request of a name
registers its mailbox; later ones set a dict entry, which is written every 30 seconds, with a list or
a sweep, and at the shutdown.
"""

from collections.abc import Callable

from claude_mailbox.daemon.store.ledger import Ledger


class Presence:
    """When mailboxes were last used, by present name, where the database does not know it yet.

    Args:
        ledger: where it is written.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._present: dict[str, str] = {}
        self._unwritten: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Presence: {len(self._present)} names, {len(self._unwritten)} unwritten>"

    async def touch(self, name: str) -> str:
        """Note that *name* is used, and make its mailbox if it is new; return its present name."""
        if name not in self._present:
            now = self._clock()
            names = self._present
            # Not durable: after a power cut the next request registers it again.
            present = await self._ledger.run(
                lambda transaction: transaction.mailboxes.register(name, now),
                durable=False,
                brief=True,
            )
            # Into the old dict: ``forget_names`` may have replaced it during the wait.
            names[name] = present
        else:
            present = self._present[name]
        self.note(present)
        return present

    async def present(self, name: str) -> str:
        """Return the present name for *name*, or *name* if it is unknown. Notes nothing."""
        known = self._present.get(name)
        if known is not None:
            return known
        found = await self._ledger.run(
            lambda transaction: transaction.mailboxes.present_name(name), durable=False, brief=True
        )
        return found or name

    def note(self, present: str) -> None:
        """Note that a mailbox is used, which is known to exist."""
        self._unwritten[present] = self._clock()

    def last_seen(self, present: str) -> int | None:
        """Return when a mailbox was last used, if that is unwritten; safe from any thread."""
        return self._unwritten.get(present)

    def forget_names(self) -> None:
        """Forget present names, because some were renamed or deleted."""
        self._present = {}

    def take(self) -> dict[str, int]:
        """Return what is unwritten and count it as written; ``restore`` undoes that."""
        unwritten, self._unwritten = self._unwritten, {}
        return unwritten

    def restore(self, seen: dict[str, int]) -> None:
        """Count what ``take`` returned as unwritten again."""
        self._unwritten = seen | self._unwritten

    async def flush(self) -> None:
        """Write everything to the database."""
        seen = self.take()
        if not seen:
            return
        try:
            await self._ledger.run(
                lambda transaction: transaction.mailboxes.mark_seen(seen), durable=False
            )
        except BaseException:
            self.restore(seen)
            raise
