"""Who is responsible for leases, from the claim until the message has arrived or is released."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.daemon.delivery.parties.waiters import Waiter


class Custodian(Protocol):
    """Is responsible for the leases of one response."""

    lease_seconds: float | None
    """How long explicit leases last, or None for leases that are bound to the connection."""

    def take(self, tokens: Sequence[str]) -> None:
        """Become responsible for these leases. Synchronous, so that it cannot be cancelled."""
        ...

    async def attend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is called, or the client has gone."""
        ...


class Follower(Custodian, Protocol):
    """A custodian that is told when its leases end, as a stream of messages needs it."""

    def ended(self, tokens: Iterable[str]) -> None:
        """Called when these leases were acked or released; some may be another custodian's."""
        ...

    def extended(self, tokens: Iterable[str], seconds: float) -> None:
        """Called when these leases were extended to *seconds* from now."""
        ...
