"""Lists of mailboxes, each with the state of its session."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.delivery.sending.limits import SessionsByMailbox
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.limits import MINUTE
from claude_mailbox.model.mail import Listing
from claude_mailbox.model.sessions import SessionFacts

T = TypeVar("T")

# Each mailbox, and whether it is watched.
Rows = list[tuple[Listing, bool]]


class Listings:
    """Lists mailboxes. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        lines: who waits for mail.
        presence: who was seen.
        config: how long idle mailboxes are shown.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        lines: WaiterLines,
        presence: Presence,
        config: Config,
        clock: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._lines = lines
        self._presence = presence
        self._config = config
        self._clock = clock

    async def all(self, caller: str | None = None, *, show_hidden: bool = False) -> Rows:
        """Return all mailboxes; without *show_hidden*, not those that were idle for long.

        The caller's own, watched ones, and senders with mail for the caller are always there.
        """
        seen_since = self._seen_since(show_hidden=show_hidden)
        watched = self._lines.watched()

        def job(transaction: Transaction) -> tuple[Sequence[Listing], SessionsByMailbox]:
            found = transaction.mailboxes.listings(caller, seen_since, watched)
            return found, transaction.shown.facts()

        return self._rows(*await self._run(job))

    async def page(
        self, number: int, size: int, *, show_hidden: bool = False, containing: str = ""
    ) -> tuple[Rows, int]:
        """Return one page of mailboxes, and how many there are in all.

        Args:
            number: of the page, from 1.
            size: mailboxes on a page.
            show_hidden: include those that were idle for long.
            containing: only those with this text in their names.
        """
        seen_since = self._seen_since(show_hidden=show_hidden)
        watched = self._lines.watched()

        def job(transaction: Transaction) -> tuple[Sequence[Listing], SessionsByMailbox, int]:
            found, count = transaction.overview.mailboxes(
                seen_since,
                watched,
                containing=containing,
                limit=size,
                offset=(number - 1) * size,
            )
            return found, _facts(transaction, found), count

        found, sessions, count = await self._run(job)
        return self._rows(found, sessions), count

    async def one(self, name: str) -> tuple[Listing, bool] | None:
        """Return a mailbox by its present name, or None."""

        def job(transaction: Transaction) -> tuple[Sequence[Listing], SessionsByMailbox]:
            listing = transaction.overview.mailbox(name)
            found = [] if listing is None else [listing]
            return found, _facts(transaction, found)

        rows = self._rows(*await self._run(job))
        return rows[0] if rows else None

    def _seen_since(self, *, show_hidden: bool) -> int:
        age = 0 if show_hidden else self._config.hide_after_minutes * MINUTE
        return self._clock() - age if age else 0

    async def _run(self, job: Callable[[Transaction], T]) -> T:
        """Run a job, after writing presence to the database."""
        seen = self._presence.take()

        def with_presence(transaction: Transaction) -> T:
            transaction.mailboxes.mark_seen(seen)
            return job(transaction)

        try:
            return await self._ledger.run(with_presence, durable=False)
        except BaseException:
            self._presence.restore(seen)
            raise

    def _rows(self, listings: Iterable[Listing], sessions: SessionsByMailbox) -> Rows:
        return [
            (
                replace(listing, session=find_session(sessions, listing.name)),
                self._lines.count(listing.name) > 0,
            )
            for listing in listings
        ]


def _facts(transaction: Transaction, listings: Iterable[Listing]) -> SessionsByMailbox:
    found: dict[str, tuple[SessionFacts, Sequence[str]]] = {}
    for listing in listings:
        found.update(transaction.shown.facts(listing.name))
    return found


def find_session(sessions: SessionsByMailbox, mailbox: str) -> SessionFacts | None:
    """Return the session of a mailbox, or None; its state is ``ended`` if its client was killed."""
    if mailbox not in sessions:
        return None
    facts, clients = sessions[mailbox]
    if clients and not any(processes.is_alive(key) for key in clients):
        return replace(facts, state="ended", has_bell=False)
    return facts
