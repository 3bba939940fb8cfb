"""The broker under random schedules of watches, checks, acks, releases, renames and cancellations.

Whatever happens at once and in whatever order: when everything has come to rest, nobody waits
where mail waits, nobody was overtaken, and every lease is held by somebody.
"""

import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.errors import BadRequest, Renamed
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Claim
from claude_mailbox.refusals import NotFound, TargetExists
from daemon.kit import World, custody, open_world

names = st.sampled_from(["x", "x", "y", "z"])
leases = st.sampled_from([None, None, 3.0])
which = st.integers(0, 20)

actions = st.one_of(
    st.tuples(st.just("send"), names),
    st.tuples(st.just("send"), names),
    st.tuples(st.just("watch"), names, st.sampled_from([0.0, 5.0, 100.0]), leases),
    st.tuples(st.just("watch"), names, st.just(100.0), leases),
    st.tuples(st.just("check"), names, st.sampled_from([1, 9]), leases),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("ack"), which),
    st.tuples(st.just("release"), which),
    st.tuples(st.just("extend"), which),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("peek"), names),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 3.0, 10.0])),
)
# Each step is one action, or several at the same time.
schedules = st.lists(st.lists(actions, min_size=1, max_size=4), min_size=1, max_size=25)


@dataclass(eq=False)
class Receiver:
    """Somebody who wants mail.

    Attributes:
        custody: his leases.
        scope: what he gives up by.
        outcome: "" as long as he waits.
    """

    name: str
    number: int
    custody: Custody
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    outcome: str = ""


class Simulation:
    """One schedule on its way."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._broker = world.broker
        self._nursery = nursery
        self.receivers: list[Receiver] = []
        self.ended: set[str] = set()
        self.sent = 0

    async def run_step(self, step: list[tuple[object, ...]]) -> None:
        """Let the actions of a step happen at once, and wait until everything is at rest."""
        served = {receiver for receiver in self.receivers if receiver.outcome}
        before = set(self.receivers) - served
        for action, *details in step:
            if action == "wait":
                await trio.sleep(*details)
            else:
                self._nursery.start_soon(partial(getattr(self, f"_{action}"), *details))
        await wait_all_tasks_blocked()
        self._assert_at_rest(before, served)

    def _assert_at_rest(self, before: set[Receiver], served: set[Receiver]) -> None:
        present = dict(self._world.connection.execute("SELECT name, id FROM mailbox"))
        former = {name for (name,) in self._world.connection.execute("SELECT name FROM alias")}
        for name in self._world.lines.watched():
            assert name not in former, f"somebody waits at {name!r}, which has another name now"
            waiting = self._world.connection.execute(
                "SELECT count(*) FROM message WHERE state = 0 AND recipient_id = ?",
                (present.get(name),),
            ).get
            assert waiting == 0, f"{waiting} messages and somebody wait at {name!r}"
        waiting_now = [receiver for receiver in self.receivers if not receiver.outcome]
        assert self._world.lines.total() == len(waiting_now)
        for receiver in set(self.receivers) - served:
            if receiver.outcome == "mail":
                for other in before.intersection(waiting_now):
                    assert other.name != receiver.name or other.number > receiver.number, (
                        "overtaken"
                    )
        self.assert_each_lease_is_held_once()

    def assert_each_lease_is_held_once(self) -> None:
        """Every lease in the database is held by exactly one receiver."""
        held = [token for receiver in self.receivers for token in receiver.custody.tokens]
        assert len(held) == len(set(held)), "held twice"
        leased = self._world.bound()
        # Explicit leases may have run out.
        assert leased <= set(held) - self.ended
        bound = {
            token
            for receiver in self.receivers
            if receiver.custody.lease_seconds is None
            for token in receiver.custody.tokens
        }
        assert bound - self.ended <= leased

    async def _receive(
        self, receiver: Receiver, want: Callable[[], Awaitable[Claim | None]]
    ) -> None:
        self.receivers.append(receiver)
        with receiver.scope:
            try:
                claim = await want()
            except Renamed:
                receiver.outcome = "renamed"
            else:
                receiver.outcome = "mail" if claim and claim.deliveries else "nothing"
        receiver.outcome = receiver.outcome or "gave up"

    async def _watch(self, name: str, seconds: float, lease: float | None) -> None:
        receiver = Receiver(name, len(self.receivers), custody(lease))
        await self._receive(receiver, partial(self._broker.watch, name, seconds, receiver.custody))

    async def _check(self, name: str, limit: int, lease: float | None) -> None:
        receiver = Receiver("", len(self.receivers), custody(lease))
        await self._receive(
            receiver, partial(self._broker.check, name, receiver.custody, limit=limit)
        )

    async def _send(self, name: str) -> None:
        self.sent += 1
        await self._broker.send(Draft("sender", name, str(self.sent)))

    async def _cancel(self, number: int) -> None:
        if self.receivers:
            self.receivers[number % len(self.receivers)].scope.cancel()

    def _tokens(self, number: int) -> list[str]:
        with_mail = [receiver for receiver in self.receivers if receiver.custody.tokens]
        return list(with_mail[number % len(with_mail)].custody.tokens) if with_mail else []

    async def _ack(self, number: int) -> None:
        self.ended.update((await self._broker.leases.ack(self._tokens(number))).done)

    async def _release(self, number: int) -> None:
        self.ended.update((await self._broker.leases.release(self._tokens(number))).done)

    async def _extend(self, number: int) -> None:
        await self._broker.leases.extend(self._tokens(number), 5)

    async def _rename(self, current: str, to: str) -> None:
        try:
            await self._broker.mailboxes.rename(current, to)
        except (BadRequest, NotFound, TargetExists):
            return

    async def _peek(self, name: str) -> None:
        await self._broker.peek(name)

    async def _delete(self, name: str) -> None:
        await self._broker.mailboxes.delete(name)

    async def _sweep(self) -> None:
        await self._world.housekeeping.sweep()


async def _run(schedule: list[list[tuple[object, ...]]], folder: Path) -> None:
    async with open_world(folder, delete_after_minutes=1) as world, trio.open_nursery() as nursery:
        nursery.start_soon(world.broker.expiry.serve)
        simulation = Simulation(world, nursery)
        for step in schedule:
            await simulation.run_step(step)
        for receiver in simulation.receivers:
            receiver.scope.cancel()
        await wait_all_tasks_blocked()
        simulation.assert_each_lease_is_held_once()
        # Explicit leases end by themselves; after that, everything is where it was or delivered.
        await trio.sleep(60)
        await wait_all_tasks_blocked()
        await world.housekeeping.release_bound()
        states = world.states()
        assert len(states) == simulation.sent
        assert set(states.values()) <= {"waiting", "delivered"}
        nursery.cancel_scope.cancel()


@given(schedules)
def test_no_watcher_waits_while_mail_does(schedule: list[list[tuple[object, ...]]]) -> None:
    """In any schedule."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(_run, schedule, Path(folder), clock=clock)
