"""Who answers for leased messages on their way out of the broker."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from claude_mailbox.daemon.delivery.parties.waiters import Waiter


class Custodian(Protocol):
    """Answers for leased messages on their way out."""

    lease_seconds: float | None
    """Explicit lease asked for, or None for one that is bound to the connection."""

    def take(self, tokens: Sequence[str]) -> None:
        """Become responsible for these leases. Synchronous: nothing may come between."""
        ...

    async def attend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is called, or the client has gone."""
        ...


class Follower(Custodian, Protocol):
    """A custodian of a stream, which wants to know which of its leases have ended."""

    def ended(self, tokens: Iterable[str]) -> None:
        """Take note that these leases were acked or released."""
        ...

    def extended(self, tokens: Iterable[str], seconds: float) -> None:
        """Take note that these leases last *seconds* from now."""
        ...
