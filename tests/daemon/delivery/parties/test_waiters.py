"""WaiterLines of waiters: strictly first in, first out, and nobody is left sleeping."""

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.delivery.parties.waiters import Waiter, WaiterLines
from claude_mailbox.errors import QuotaFull, Renamed, ShuttingDown


class Crowd:
    """People who stand in a line and, once called, look until they find something.

    Attributes:
        mail: what there is to find.
        found: who found something, in order.
        looks: who looked, in order.
        dismissed: who was sent away, and why.
    """

    def __init__(self, lines: WaiterLines) -> None:
        self._lines = lines
        self.mail = 0
        self.found: list[str] = []
        self.looks: list[str] = []
        self.dismissed: list[tuple[str, str]] = []
        self.scopes: dict[str, trio.CancelScope] = {}

    async def stand(self, who: str, name: str = "box") -> None:
        """Wait in the line of *name*."""
        try:
            with trio.CancelScope() as scope, self._lines.join(name) as waiter:
                self.scopes[who] = scope
                while True:
                    await waiter.turn()
                    self.looks.append(who)
                    await trio.lowlevel.checkpoint()
                    if self.mail:
                        self.mail -= 1
                        self.found.append(who)
                        return
        except Renamed as reason:
            self.dismissed.append((who, reason.to))

    def deliver(self, count: int = 1) -> None:
        """Put mail in and call the front."""
        self.mail += count
        self._lines.call_front("box")


@pytest.fixture
def lines() -> WaiterLines:
    """WaiterLines that take up to a thousand people each."""
    return WaiterLines(1000)


@pytest.fixture
def crowd(lines: WaiterLines) -> Crowd:
    """Nobody yet."""
    return Crowd(lines)


async def line_up(nursery: trio.Nursery, crowd: Crowd, people: str) -> None:
    """Let people join one after the other."""
    for who in people:
        nursery.start_soon(crowd.stand, who)
        await wait_all_tasks_blocked()


class TestOrder:
    async def test_waiters_are_called_one_by_one_in_the_order_of_joining(
        self, crowd: Crowd
    ) -> None:
        """Each message goes to who has waited longest; the others go on waiting."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abcde")
            for count in range(1, 6):
                crowd.deliver()
                await wait_all_tasks_blocked()
                assert crowd.found == list("abcde"[:count])

    async def test_a_burst_of_calls_is_answered_in_the_order_of_joining(self, crowd: Crowd) -> None:
        """One call for three messages serves three, because who leaves calls the next."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abcde")
            crowd.deliver(3)
            await wait_all_tasks_blocked()
            assert crowd.found == list("abc")
            nursery.cancel_scope.cancel()

    async def test_only_the_front_looks(self, crowd: Crowd) -> None:
        """Whoever stands behind does not even look."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abc")
            assert crowd.looks == ["a"]
            nursery.cancel_scope.cancel()

    async def test_a_new_waiter_overtakes_nobody(self, crowd: Crowd) -> None:
        """Even between the arrival of mail and the look of the front."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "ab")
            crowd.deliver(2)
            nursery.start_soon(crowd.stand, "c")
            await wait_all_tasks_blocked()
            assert crowd.found == ["a", "b"]
            nursery.cancel_scope.cancel()

    async def test_the_first_to_join_is_called_at_once(self, crowd: Crowd) -> None:
        """The first in an empty line looks without being called."""
        crowd.mail = 1
        await crowd.stand("a")
        assert crowd.found == ["a"]

    async def test_lines_are_independent(self, lines: WaiterLines, crowd: Crowd) -> None:
        """A call at one mailbox wakes nobody at another."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.stand, "x", "other")
            await wait_all_tasks_blocked()
            await line_up(nursery, crowd, "a")
            crowd.deliver()
            await wait_all_tasks_blocked()
            assert crowd.found == ["a"]
            assert crowd.looks == ["x", "a", "a"]
            assert lines.watched() == ["other"]
            nursery.cancel_scope.cancel()


class TestRearming:
    async def test_a_call_during_the_look_is_not_missed(self, lines: WaiterLines) -> None:
        """Mail that comes after the look has begun leads to another look."""
        with lines.join("box") as waiter:
            await waiter.turn()
            lines.call_front("box")
            with trio.fail_after(0):
                await waiter.turn()

    async def test_a_waiter_that_finds_nothing_waits_again(self, crowd: Crowd) -> None:
        """A call without mail costs one look and nobody's place."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "ab")
            for _ in range(3):
                crowd.deliver(0)
                await wait_all_tasks_blocked()
            assert crowd.looks == ["a"] * 4
            crowd.deliver()
            await wait_all_tasks_blocked()
            assert crowd.found == ["a"]
            nursery.cancel_scope.cancel()

    async def test_a_timeout_of_zero_looks_once_at_the_front(self, crowd: Crowd) -> None:
        """Whoever is called at once gets his look inside a scope whose time is over."""
        crowd.mail = 1
        with trio.move_on_after(0):
            await crowd.stand("a")
        assert crowd.looks == ["a"]

    async def test_a_timeout_of_zero_behind_somebody_does_not_look(self, crowd: Crowd) -> None:
        """First in, first out holds for the impatient, too."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "a")
            with trio.move_on_after(0):
                await crowd.stand("b")
            assert crowd.looks == ["a"]
            nursery.cancel_scope.cancel()


class TestLeaving:
    async def test_the_next_is_called_when_the_front_gives_up(self, crowd: Crowd) -> None:
        """Mail that the front was called for, and did not look for, is found by the next."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "ab")
            crowd.deliver()
            crowd.scopes["a"].cancel()
            await wait_all_tasks_blocked()
            # 'a' may have been faster than its cancellation: what counts is that one has it.
            assert len(crowd.found) == 1
            nursery.cancel_scope.cancel()

    async def test_the_next_is_called_when_the_front_raises(
        self, lines: WaiterLines, crowd: Crowd
    ) -> None:
        """An error in the look is no reason for the others to sleep."""

        async def break_down() -> None:
            with suppress(ZeroDivisionError), lines.join("box") as waiter:
                await waiter.turn()
                await waiter.turn()
                raise ZeroDivisionError

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_down)
            await wait_all_tasks_blocked()
            await line_up(nursery, crowd, "b")
            assert crowd.looks == []
            crowd.deliver()
            await wait_all_tasks_blocked()
            assert crowd.found == ["b"]

    async def test_a_waiter_that_leaves_from_the_middle_calls_nobody(self, crowd: Crowd) -> None:
        """His place closes, the others keep theirs."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abcd")
            crowd.scopes["b"].cancel()
            await wait_all_tasks_blocked()
            assert crowd.looks == ["a"]
            crowd.deliver(3)
            await wait_all_tasks_blocked()
            assert crowd.found == ["a", "c", "d"]

    async def test_an_empty_line_is_forgotten(self, lines: WaiterLines, crowd: Crowd) -> None:
        """A million names that were watched once leave nothing behind."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abc")
            assert repr(lines) == "<WaiterLines: 3 waiters for 1 mailboxes>"
            nursery.cancel_scope.cancel()
        assert repr(lines) == "<WaiterLines: 0 waiters for 0 mailboxes>"
        assert lines.watched() == []
        assert not lines.call_front("box")

    def test_leaving_costs_the_same_in_a_long_line(self) -> None:
        """A place is found by its key: no waiter is ever compared with another."""

        class Incomparable(Waiter):
            __slots__ = ()
            __hash__ = object.__hash__

            def __eq__(self, other: object) -> bool:
                return NotImplemented if self is other else pytest.fail("searched the line")

        lines = WaiterLines(10)
        waiters = [Incomparable("box") for _ in range(10)]
        line = dict.fromkeys(waiters)
        for waiter in [waiters[5], waiters[9], waiters[0]]:
            lines._leave(waiter, line)
        assert list(line) == [waiters[i] for i in (1, 2, 3, 4, 6, 7, 8)]
        assert "called" in repr(waiters[1])


class TestDismissal:
    async def test_the_whole_line_leaves_with_the_reason(
        self, lines: WaiterLines, crowd: Crowd
    ) -> None:
        """A rename sends everybody away, in order, and the name is free for a new line."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "abc")
            assert lines.dismiss("box", Renamed("box", "new")) == 3
            assert lines.count("box") == 0
            await wait_all_tasks_blocked()
        assert sorted(crowd.dismissed) == [("a", "new"), ("b", "new"), ("c", "new")]

    async def test_after_a_dismissal_there_is_a_new_line(
        self, lines: WaiterLines, crowd: Crowd
    ) -> None:
        """Those who still leave the old line do not disturb the new one of that name."""
        async with trio.open_nursery() as nursery:
            await line_up(nursery, crowd, "ab")
            lines.dismiss("box", Renamed("box", "new"))
            with lines.join("box"):
                await wait_all_tasks_blocked()
                assert lines.count("box") == 1
                assert lines.call_front("box")
        assert lines.count("box") == 0

    async def test_a_waiter_that_is_looking_learns_of_its_dismissal_afterwards(
        self, lines: WaiterLines
    ) -> None:
        """The look is finished; the next turn tells."""
        with lines.join("box") as waiter:
            await waiter.turn()
            lines.dismiss("box", Renamed("box", "new"))
            assert repr(waiter) == "<Waiter for 'box': dismissed>"
            with pytest.raises(Renamed):
                await waiter.turn()

    async def test_dismissing_an_unknown_line_does_nothing(self, lines: WaiterLines) -> None:
        """There is nobody to dismiss."""
        assert lines.dismiss("nobody", Renamed("nobody", "new")) == 0

    async def test_closing_dismisses_all_lines_and_refuses_new_waiters(
        self, lines: WaiterLines
    ) -> None:
        """Those in line leave, newcomers are not let in."""
        reasons: list[str] = []

        async def stand(name: str) -> None:
            try:
                with lines.join(name) as waiter:
                    await waiter.turn()
                    await waiter.turn()
            except ShuttingDown as reason:
                reasons.append(f"{name}: {reason}")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stand, "a")
            nursery.start_soon(stand, "b")
            await wait_all_tasks_blocked()
            lines.close(ShuttingDown("bye"))
        await stand("c")
        assert sorted(reasons) == ["a: bye", "b: bye", "c: bye"]
        assert lines.total() == 0


class TestLimit:
    def test_a_full_line_refuses_another_waiter(self) -> None:
        """One more than the limit is told so, and nothing changes for the others."""
        lines = WaiterLines(2)
        with lines.join("box"), lines.join("box"):
            with (
                pytest.raises(QuotaFull, match=r"2 watches.*maxWaitersPerMailbox"),
                lines.join("box"),
            ):
                pytest.fail("let in")
            assert lines.count("box") == 2
            with lines.join("other"):
                assert lines.total() == 3
        with lines.join("box"):
            assert lines.count("box") == 1

    def test_repr_of_a_waiter(self, lines: WaiterLines) -> None:
        """It tells name and state."""
        with lines.join("box") as first, lines.join("box") as second:
            assert repr(first) == "<Waiter for 'box': called>"
            assert repr(second) == "<Waiter for 'box': waiting>"
