"""The wait for a delivery: nothing is missed, and whoever leaves is forgotten."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.delivery.leasing.receipts import DELIVERED, REPLIED
from claude_mailbox.daemon.delivery.parties.waiters import Waiter
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.errors import ShuttingDown
from claude_mailbox.model.drafts import Draft
from claude_mailbox.refusals import NotFound
from daemon.kit import Place, World, custody, open_world


class Waiting:
    """Some who wait for one message, and the states that they were told."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self.told: list[str] = []

    async def wait(self, until: str = DELIVERED, seconds: float = 300) -> None:
        """Wait, and note what comes of it."""
        try:
            status = await self._world.broker.receipts.wait(
                "a", self._number, until, seconds, Custody()
            )
            self.told.append(status.state)
        except ShuttingDown:
            self.told.append("shutting down")


async def test_everybody_is_told_at_the_settlement(place: Place, autojump_clock: object) -> None:
    """By the response, and by an ack; a claim alone is no reason."""
    async with open_world(place) as world:
        for lease in (None, 60):
            receipt = await world.broker.send(Draft("a", "b", "x"))
            waiting = Waiting(world, receipt.id)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(waiting.wait)
                nursery.start_soon(waiting.wait)
                await wait_all_tasks_blocked()
                custodian = custody(lease)
                await world.broker.check("b", custodian)
                await wait_all_tasks_blocked()
                assert waiting.told == []
                if lease is None:
                    await world.broker.leases.settle(custodian.tokens)
                else:
                    await world.broker.leases.ack(custodian.tokens)
            assert waiting.told == ["delivered", "delivered"]
        assert repr(world.broker.receipts) == "<Receipts: 0 waiting>"


async def test_a_settlement_while_the_state_is_read_is_not_missed(
    place: Place, autojump_clock: object
) -> None:
    """The look sees the message leased, and it is settled before the wait begins."""
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        custodian = custody()
        await world.broker.check("b", custodian)
        receipts = world.broker.receipts
        look, looks = receipts.status, 0

        async def settle_after_the_look(mailbox: str, number: int) -> object:
            nonlocal looks
            looks += 1
            status = await look(mailbox, number)
            if looks == 1:
                await world.broker.leases.settle(custodian.tokens)
            return status

        receipts.status = settle_after_the_look  # type: ignore[method-assign, assignment]
        started = trio.current_time()
        status = await receipts.wait("a", receipt.id, DELIVERED, 300, Custody())
        assert status.state == "delivered"
        assert trio.current_time() == started


async def test_after_the_timeout_the_present_state_is_returned(
    place: Place, autojump_clock: object
) -> None:
    """As it is then; and a lease that has run out by then is none."""
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        await world.broker.check("b", custody(10))
        waiting = Waiting(world, receipt.id)
        await waiting.wait(seconds=5)
        await waiting.wait(seconds=10)
        assert waiting.told == ["leased", "waiting"]
        assert trio.current_time() >= 15


async def test_a_wait_for_a_reply_outlasts_the_delivery(
    place: Place, autojump_clock: object
) -> None:
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        waiting = Waiting(world, receipt.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiting.wait, REPLIED, 30)
            await wait_all_tasks_blocked()
            custodian = custody()
            await world.broker.check("b", custodian)
            await world.broker.leases.settle(custodian.tokens)
            await wait_all_tasks_blocked()
            assert waiting.told == []
        assert waiting.told == ["delivered"]


async def test_a_cancelled_wait_is_forgotten(place: Place, autojump_clock: object) -> None:
    """And the others are told."""
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        waiting = Waiting(world, receipt.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiting.wait)
            with trio.move_on_after(1):
                await waiting.wait()
            assert repr(world.broker.receipts) == "<Receipts: 1 waiting>"
            custodian = custody()
            await world.broker.check("b", custodian)
            await world.broker.leases.settle(custodian.tokens)
        assert waiting.told == ["delivered"]


class GoneClient(Custody):
    """A custodian whose client has left."""

    async def attend(self, waiter: Waiter) -> None:
        """Return at once."""


async def test_a_client_that_has_gone_ends_the_wait(place: Place, autojump_clock: object) -> None:
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        started = trio.current_time()
        await world.broker.receipts.wait("a", receipt.id, DELIVERED, 300, GoneClient())
        assert trio.current_time() == started
        assert repr(world.broker.receipts) == "<Receipts: 0 waiting>"


async def test_closing_ends_all_waits(place: Place, autojump_clock: object) -> None:
    """Newcomers too."""
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        waiting = Waiting(world, receipt.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiting.wait)
            await wait_all_tasks_blocked()
            world.broker.receipts.close(ShuttingDown("The daemon stops."))
        await waiting.wait()
        assert waiting.told == ["shutting down", "shutting down"]


async def test_a_wait_for_another_mailboxes_message_is_refused(
    place: Place, autojump_clock: object
) -> None:
    async with open_world(place) as world:
        receipt = await world.broker.send(Draft("a", "b", "x"))
        for mailbox, number in (("c", receipt.id), ("a", receipt.id + 1)):
            with pytest.raises(NotFound):
                await world.broker.receipts.wait(mailbox, number, DELIVERED, 300, Custody())
