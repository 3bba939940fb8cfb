"""Interrupt an operation at every moment that it has: after each step that any task takes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from daemon.kit import World, open_world


class Interruption(trio.abc.Instrument):
    """Calls *interrupt* once, after the *moment*-th step of the event loop; 0 is at once.

    Attributes:
        happened: whether it came to that before the block ended.
    """

    def __init__(self, moment: int, interrupt: Callable[[], object]) -> None:
        self._left = moment
        self._interrupt = interrupt
        self.happened = False
        self._count_down()

    def _count_down(self) -> None:
        if self._left == 0:
            self.happened = True
            self._interrupt()
        self._left -= 1

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count, and interrupt when it is time."""
        self._count_down()


@contextmanager
def interruption(moment: int, interrupt: Callable[[], object]) -> Iterator[Interruption]:
    """Interrupt what happens in the block at that moment."""
    instrument = Interruption(moment, interrupt)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)


class Trial:
    """One run of an operation, with a broker and helpers of its own.

    Attributes:
        world: the broker.
        nursery: for what goes on beside; cancelled at the end.
        scope: what the operation runs in.
        interrupt: what happens at the moment; cancels the scope unless told otherwise.
        is_interrupted: whether it happened; known after the operation.
    """

    def __init__(self, world: World, nursery: trio.Nursery, moment: int) -> None:
        self.world = world
        self.nursery = nursery
        self.scope = trio.CancelScope()
        self.interrupt: Callable[[], object] = self.scope.cancel
        self.is_interrupted = False
        self._moment = moment

    @asynccontextmanager
    async def observed(self) -> AsyncIterator[None]:
        """Interrupt at this trial's moment within the block, and let everything come to rest."""
        await wait_all_tasks_blocked()
        with interruption(self._moment, lambda: self.interrupt()) as watched:
            yield
            await wait_all_tasks_blocked()
        self.is_interrupted = watched.happened

    @asynccontextmanager
    async def operation(self) -> AsyncIterator[None]:
        """Observe a block that is itself what gets interrupted."""
        async with self.observed():
            with self.scope:
                yield

    async def interruptible(self, operation: Callable[[], Awaitable[object]]) -> None:
        """Run in the nursery what gets interrupted while a block is observed."""
        with self.scope:
            await operation()


async def at_every_moment(folder: Path, attempt: Callable[[Trial], Awaitable[None]]) -> None:
    """Run *attempt* again and again, each interrupted one step later, until one is untouched."""
    for moment in count():
        place = folder / str(moment)
        place.mkdir()
        async with open_world(place) as world, trio.open_nursery() as nursery:
            trial = Trial(world, nursery, moment)
            await attempt(trial)
            nursery.cancel_scope.cancel()
        if not trial.is_interrupted:
            assert moment > 1, "the operation took no step at all"
            return
