"""What became of a message: its state, and waiting for its delivery or a reply."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import trio

from claude_mailbox.daemon.delivery.leasing.expiry import Expiry
from claude_mailbox.daemon.delivery.parties.custody import Custodian
from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.errors import MailboxError
from claude_mailbox.model.history import MessageStatus
from claude_mailbox.model.mail import parse_token
from claude_mailbox.refusals import NotFound

# What can be waited for.
DELIVERED, REPLIED = "delivered", "replied"
# States in which there is nothing more to wait for.
_ENDS = frozenset({"expired", "deleted"})


class Receipts:
    """Tells senders and receivers what became of their messages.

    Args:
        expiry: runs what is due before the state is read.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, expiry: Expiry, clock: Callable[[], int]) -> None:
        self._expiry = expiry
        self._clock = clock
        self._waiters: dict[int, set[Waiter]] = {}
        self._closed: MailboxError | None = None

    def __repr__(self) -> str:
        return f"<Receipts: {sum(map(len, self._waiters.values()))} waiting>"

    async def status(self, mailbox: str, number: int) -> MessageStatus:
        """Return what became of a message that *mailbox* sent or got.

        Raises:
            NotFound: if there is no such message, or *mailbox* neither sent nor got it.
        """
        status = await self._expiry.run_after(
            self._clock(), lambda transaction: transaction.history.status(number, mailbox)
        )
        if status is None:
            raise NotFound(
                f"'{mailbox}' has neither sent nor got a message {number}: ask by the name of its"
                " sender or receiver."
            )
        return status

    async def wait(
        self, mailbox: str, number: int, until: str, seconds: float, custodian: Custodian
    ) -> MessageStatus:
        """Wait for up to *seconds* until the message is ``DELIVERED`` or ``REPLIED`` to.

        Returns:
            Its state then, or when the time is over or the client has gone.

        Raises:
            NotFound: see ``status``.
            ShuttingDown: if the daemon stops.
        """
        deadline = trio.current_time() + seconds
        with self._waiting(number) as waiter:
            while True:
                status = await self.status(mailbox, number)
                if _is_reached(status, until) or status.state in _ENDS:
                    return status
                # It may have been called while the state was read.
                if not waiter.is_called:
                    with trio.move_on_at(deadline):
                        await custodian.attend(waiter)
                if not waiter.is_called:
                    return await self.status(mailbox, number)
                await waiter.turn()

    @contextmanager
    def _waiting(self, number: int) -> Iterator[Waiter]:
        if self._closed is not None:
            raise self._closed
        waiter = Waiter(f"message {number}")
        waiters = self._waiters.setdefault(number, set())
        waiters.add(waiter)
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiters.get(number) is waiters:
                del self._waiters[number]

    def changed(self, numbers: Iterable[int]) -> None:
        """Wake callers that wait for these messages: they changed, or were replied to."""
        if self._waiters:
            for number in numbers:
                self._call(self._waiters.get(number, ()))

    def settled(self, tokens: Sequence[str]) -> None:
        """Wake callers that wait for messages with these leases; called after the commit."""
        if self._waiters:
            for token in tokens:
                self._call(self._waiters.get(parse_token(token)[0], ()))

    def call_all(self) -> None:
        """Wake all callers that wait: another daemon may have settled something."""
        for waiters in self._waiters.values():
            self._call(waiters)

    def _call(self, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            waiter.call()

    def close(self, reason: MailboxError) -> None:
        """Make all waits raise *reason*, now and later."""
        self._closed = reason
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.dismiss(reason)


def _is_reached(status: MessageStatus, until: str) -> bool:
    if until == REPLIED:
        return status.replied_by is not None
    return status.state == until
