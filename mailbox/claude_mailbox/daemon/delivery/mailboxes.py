"""Renames, describes and deletes mailboxes."""

from collections.abc import Callable, Iterable

from claude_mailbox.daemon.delivery.parties.changes import Changes
from claude_mailbox.daemon.delivery.parties.notifier import Notifier
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.errors import BadRequest, Renamed
from claude_mailbox.model.mail import Rename
from claude_mailbox.model.names import USER


class Mailboxes:
    """What can be done with mailboxes. Every method may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        lines: who waits for their mail.
        presence: who was seen.
        clock: returns the time in milliseconds since the epoch.
        notifier: tells other daemons on the same database.
        changes: told of each change.
        announce: called with mailboxes in which mail waits.
        user: name of the mailbox of the person at this machine.
    """

    def __init__(
        self,
        ledger: Ledger,
        lines: WaiterLines,
        presence: Presence,
        clock: Callable[[], int],
        notifier: Notifier,
        changes: Changes,
        announce: Callable[[Iterable[str]], None],
        user: str,
    ) -> None:
        self._ledger = ledger
        self._lines = lines
        self._presence = presence
        self._clock = clock
        self._user = user
        self._notifier = notifier
        self._changes = changes
        self._announce = announce

    async def rename(self, current: str, to: str) -> Rename:
        """Give a mailbox a new name; its mail comes along, its waiters leave with ``Renamed``.

        Raises:
            NotFound: if there is no such mailbox.
            TargetExists: if the new name is taken.
            BadRequest: if it has that name already, or one of the two is the user's.
        """
        if not {USER, self._user}.isdisjoint({current, to}):
            raise BadRequest(
                f"'{self._user}' is the mailbox of the person at this machine: it cannot be renamed,"
                " and no other mailbox can have its name."
            )
        now = self._clock()
        renamed = await self._ledger.run(
            lambda transaction: transaction.mailboxes.rename(current, to, now)
        )
        self._presence.forget_names()
        self._presence.note(renamed.new)
        for name in {renamed.old, current}:
            self._lines.dismiss(name, Renamed(name, renamed.new))
        self._notifier.note_rename(renamed.old, renamed.new)
        self._changes.note()
        if renamed.transferred:
            self._announce([renamed.new])
        return renamed

    async def describe(self, name: str, text: str | None) -> None:
        """Set the description of a mailbox; None removes it."""
        now = self._clock()
        await self._ledger.run(
            lambda transaction: transaction.mailboxes.describe(name, text, now), brief=True
        )

    async def delete(self, name: str) -> bool:
        """Delete a mailbox if nothing pends in either direction; return whether it was deleted."""
        deleted = await self._ledger.run(lambda transaction: transaction.mailboxes.delete(name))
        self._presence.forget_names()
        self._notifier.note_other()
        return deleted
