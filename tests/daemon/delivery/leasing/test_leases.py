"""Leases: what their holders can do, and what others cannot."""

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.model.drafts import Draft
from daemon.delivery.helpers import Watchers
from daemon.kit import EPOCH, World, custody


class TestLeases:
    async def test_an_acked_message_never_comes_back(self, world: World) -> None:
        """Again with the same token it is done; nothing brings the message back."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody(60)
        await world.broker.check("b", custodian)
        assert (await world.broker.leases.ack(custodian.tokens)).done == custodian.tokens
        assert (await world.broker.leases.ack(custodian.tokens)).done == custodian.tokens
        assert (await world.broker.leases.release(custodian.tokens)).lost == custodian.tokens
        assert (await world.broker.leases.extend(custodian.tokens, 5)).lost == custodian.tokens
        await trio.sleep(3600)
        await world.broker.expiry.expire()
        assert world.states() == {"1": "delivered"}

    async def test_a_released_message_keeps_its_place(self, world: World) -> None:
        """It comes before what came later, with its attempts counted."""
        for body in "123":
            await world.broker.send(Draft("a", "b", body))
        custodian = custody(60)
        await world.broker.check("b", custodian, limit=2)
        await world.broker.leases.release(custodian.tokens[:1])
        claim = await world.broker.check("b", custody())
        assert [(d.body, d.attempts) for d in claim.deliveries] == [("1", 2), ("3", 1)]

    async def test_a_lease_that_could_not_be_released_is_not_overtaken(self, world: World) -> None:
        """The client has gone while nothing could be written: the next claim begins with its mail."""
        for body in "12":
            await world.broker.send(Draft("a", "b", body))
        custodian = custody()
        await world.broker.check("b", custodian, limit=1)
        with world.read_only():
            await world.broker.leases.release_abandoned(custodian.tokens)
        claim = await world.broker.check("b", custody())
        assert [(d.body, d.attempts) for d in claim.deliveries] == [("1", 2), ("2", 1)]

    async def test_a_lease_that_could_not_be_released_wakes_a_waiter_later(
        self, world: World, watchers: Watchers
    ) -> None:
        """As soon as anybody claims, also from another mailbox."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody()
        await world.broker.check("b", custodian)
        await watchers.add("x")
        with world.read_only():
            await world.broker.leases.release_abandoned(custodian.tokens)
        await world.broker.check("other", custody())
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1")]

    async def test_release_wakes_the_first_waiter(self, world: World, watchers: Watchers) -> None:
        """What comes back goes to who waits."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody(60)
        await world.broker.check("b", custodian)
        await watchers.add("x")
        await world.broker.leases.release(custodian.tokens)
        await wait_all_tasks_blocked()
        assert watchers.got == [("x", "1")]

    async def test_release_without_a_watcher_rings(self, world: World) -> None:
        """Mail that came back to an idle mailbox is news."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody(60)
        await world.broker.check("b", custodian)
        world.bell.rung.clear()
        await world.broker.leases.release(custodian.tokens)
        assert world.bell.rung == ["b"]

    async def test_the_old_token_of_a_message_is_lost(self, world: World) -> None:
        """After an expiry somebody else may have it: the first holder cannot ack it."""
        await world.broker.send(Draft("a", "b", "1"))
        first, second = custody(10), custody(10)
        await world.broker.check("b", first)
        await trio.sleep(10)
        await world.broker.check("b", second)
        assert (await world.broker.leases.ack(first.tokens)).lost == first.tokens
        assert (await world.broker.leases.extend(first.tokens, 5)).lost == first.tokens
        assert (await world.broker.leases.ack(second.tokens)).done == second.tokens

    async def test_another_mailbox_cannot_end_a_lease(self, world: World) -> None:
        """Another mailbox's token is lost, whatever the verb."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody(60)
        await world.broker.check("b", custodian)
        for outcome in (
            await world.broker.leases.ack(custodian.tokens, "thief"),
            await world.broker.leases.release(custodian.tokens, "thief"),
            await world.broker.leases.extend(custodian.tokens, 60, "a"),
        ):
            assert outcome.lost == custodian.tokens
        assert world.states() == {"1": "leased"}

    @pytest.mark.parametrize(
        "token",
        ["", "-", "1", "1-", "-1", "x-y", "1-\x00", "²-a", "9" * 30 + "-a", "1-é", "\uff11-a"],
    )
    async def test_a_malformed_token_is_lost(self, world: World, token: str) -> None:
        """Whatever a client makes up is an answer, not an error."""
        await world.broker.send(Draft("a", "b", "1"))
        await world.broker.check("b", custody(60))
        assert (await world.broker.leases.ack([token])).lost == [token]
        assert (await world.broker.leases.release([token])).lost == [token]
        assert (await world.broker.leases.extend([token], 5)).lost == [token]
        assert world.states() == {"1": "leased"}

    async def test_an_extension_counts_from_now(self, world: World) -> None:
        """A lease may be made longer or shorter."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody(10)
        await world.broker.check("b", custodian)
        await trio.sleep(9)
        await world.broker.leases.extend(custodian.tokens, 10)
        await trio.sleep(9)
        assert await world.broker.expiry.expire() == EPOCH + 19_000
        assert world.states() == {"1": "leased"}
        await trio.sleep(1)
        assert await world.broker.expiry.expire() is None
        assert world.states() == {"1": "waiting"}

    async def test_bound_leases_do_not_expire(self, world: World) -> None:
        """They last as long as their connection, and cannot be given a time."""
        await world.broker.send(Draft("a", "b", "1"))
        custodian = custody()
        await world.broker.check("b", custodian)
        assert (await world.broker.leases.extend(custodian.tokens, 1)).lost == custodian.tokens
        await trio.sleep(10**6)
        assert await world.broker.expiry.expire() is None
        assert world.states() == {"1": "leased"}
