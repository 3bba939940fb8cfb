"""What the delivery tests share: leases, and several watches at once."""

import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.errors import Renamed, ShuttingDown
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Claim
from daemon.kit import World, custody


def bodies(claim: Claim | None) -> list[str]:
    """Return the bodies of a claim's messages."""
    return [] if claim is None else [delivery.body for delivery in claim.deliveries]


async def lease(world: World, body: str, seconds: float | None) -> Custody:
    """Send a message to 'b' and claim it."""
    await world.broker.send(Draft("a", "b", body))
    custodian = custody(seconds)
    await world.broker.check("b", custodian)
    return custodian


class Watchers:
    """Several watches, and what they got, in the order of getting it."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._nursery = nursery
        self.got: list[tuple[str, object]] = []

    async def add(self, who: str, name: str = "b", seconds: float = 300, limit: int = 1) -> None:
        """Begin a watch; return when it stands in line."""
        self._nursery.start_soon(self._watch, who, name, seconds, limit)
        await wait_all_tasks_blocked()

    async def _watch(self, who: str, name: str, seconds: float, limit: int) -> None:
        try:
            claim = await self._world.broker.watch(name, seconds, Custody(), limit=limit)
        except Renamed as error:
            self.got.append((who, f"renamed to {error.to}"))
        except ShuttingDown:
            self.got.append((who, "shutting down"))
        else:
            self.got.append((who, "nothing" if claim is None else ",".join(bodies(claim))))
