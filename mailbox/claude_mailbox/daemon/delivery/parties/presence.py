"""Who was here when: kept in memory and written down now and then.

A commit for every request that only says "I am here" would cost more than the request. So the
first sight of a name registers its mailbox, later ones are a dict entry until the next flush,
which rides on a list, a sweep or the shutdown.
"""

from collections.abc import Callable

from claude_mailbox.daemon.store.ledger import Ledger


class Presence:
    """Last sights by present name, newer than what the database knows.

    Args:
        ledger: where they are written down.
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
        """Note that the owner of *name* is here; return the mailbox's present name.

        A new name gets its mailbox.
        """
        if name not in self._present:
            now = self._clock()
            names = self._present
            # Nothing is lost with it in a power cut: the next request makes it again.
            present = await self._ledger.run(
                lambda transaction: transaction.mailboxes.register(name, now),
                durable=False,
                brief=True,
            )
            # Into the dict of before the wait: if names were forgotten since, this one is, too.
            names[name] = present
        else:
            present = self._present[name]
        self.note(present)
        return present

    async def present(self, name: str) -> str:
        """Return the present name for *name*, which is itself when it is unknown.

        It makes no mailbox, and is no sight of its owner.
        """
        known = self._present.get(name)
        if known is not None:
            return known
        found = await self._ledger.run(
            lambda transaction: transaction.mailboxes.present_name(name), durable=False, brief=True
        )
        return found or name

    def note(self, present: str) -> None:
        """Note a sight of a mailbox that is known to exist."""
        self._unwritten[present] = self._clock()

    def last_seen(self, present: str) -> int | None:
        """Return the last unwritten sight, if there is one; safe to call from any thread."""
        return self._unwritten.get(present)

    def forget_names(self) -> None:
        """Look names up again from now on: some were renamed or deleted."""
        self._present = {}

    def take(self) -> dict[str, int]:
        """Return what is unwritten and count it as written; give it back by ``restore``."""
        unwritten, self._unwritten = self._unwritten, {}
        return unwritten

    def restore(self, seen: dict[str, int]) -> None:
        """Take back what could not be written."""
        self._unwritten = seen | self._unwritten

    async def flush(self) -> None:
        """Write everything down."""
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
