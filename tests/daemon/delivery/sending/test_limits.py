"""How much sessions may write to each other, and what they are told."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.daemon.delivery.sending.limits import check_rate, guard, look_back
from claude_mailbox.model.limits import MINUTE, Exchange, Exchanged, Limits, LoopGuard
from claude_mailbox.refusals import TooManyMessages

LIMITS = Limits(per_minute=5, guard_after=3, hold_after=6, window=10 * MINUTE)


@dataclass
class Pair:
    """Two sessions, 'a' and 'b', and all that they wrote."""

    limits: Limits = LIMITS
    now: int = 1_700_000_000_000
    written: list[tuple[str, int]] = field(default_factory=list)
    holds: bool = False

    def exchange(self, sender: str) -> Exchange:
        """Return what the store would know of it."""
        since = look_back(self.limits, self.now)
        messages = [Exchanged(who == sender, at) for who, at in self.written if at > since]
        return Exchange(messages, self.holds)

    def write(self, sender: str, seconds: float = 0) -> LoopGuard | None:
        """Write one message, some seconds after the last one."""
        self.now += round(seconds * 1000)
        told = guard(self.limits, self.exchange(sender), self.now)
        self.written.append((sender, self.now))
        self.holds = self.holds or (told is not None and told.is_held)
        return told

    def prompt(self) -> None:
        """Let a user enter a prompt."""
        self.written.clear()
        self.holds = False


class TestGuard:
    def test_both_are_told_once(self) -> None:
        """By the first message of each that makes it enough."""
        pair = Pair()
        assert [pair.write(who) is not None for who in "ababa"] == [False, False, True, True, False]

    def test_the_notice_says_how_many_and_until_when(self) -> None:
        pair = Pair()
        pair.write("a")
        pair.write("b")
        told = pair.write("a", 30)
        assert told == LoopGuard(3, 6, 10 * MINUTE, pair.now + 10 * MINUTE, holds=True)

    def test_from_the_limit_on_all_is_held(self) -> None:
        """The sixth message is the first that is held; each of them says so."""
        pair = Pair()
        guards = [pair.write(who) for who in "ababababa"]
        assert [told is not None and told.is_held for told in guards] == [False] * 5 + [True] * 4
        assert [told.used for told in guards[5:] if told] == [6, 7, 8, 9]

    def test_held_messages_are_not_released_by_time(self) -> None:
        """What follows is held, too: it must not overtake."""
        pair = Pair()
        for who in "ababab":
            pair.write(who)
        later = pair.write("a", 3600)
        assert later is not None
        assert later.is_held

    def test_a_prompt_begins_anew(self) -> None:
        pair = Pair()
        for who in "ababab":
            pair.write(who)
        pair.prompt()
        assert [pair.write(who) is not None for who in "aba"] == [False, False, True]

    def test_who_writes_slowly_is_never_told(self) -> None:
        pair = Pair()
        assert not any(pair.write(who, 301) for who in "ab" * 20)

    def test_it_is_told_again_when_it_comes_again(self) -> None:
        """After a quiet time."""
        pair = Pair()
        assert [pair.write(who) is not None for who in "aaaa"] == [False, False, True, False]
        assert [pair.write(who, 400) is not None for who in "a"] == [False]
        assert [pair.write(who, 300) is not None for who in "a"] == [False]
        assert [pair.write(who) is not None for who in "aa"] == [True, False]

    def test_zero_switches_the_notice_off(self) -> None:
        pair = Pair(Limits(guard_after=0, hold_after=4))
        assert [pair.write(who) is not None for who in "abab"] == [False, False, False, True]

    def test_zero_switches_the_holding_off(self) -> None:
        pair = Pair(Limits(guard_after=3, hold_after=0))
        guards = [told for told in (pair.write(who) for who in "ab" * 50) if told]
        assert [(told.used, told.limit, told.holds) for told in guards] == [
            (3, 3, False),
            (4, 3, False),
        ]
        assert not any(told.is_held for told in guards)


class TestRate:
    def test_one_message_too_many_in_a_minute_is_refused(self) -> None:
        """The error says until when to wait, and that nothing was stored."""
        pair = Pair()
        for _ in range(5):
            pair.write("a", 10)
        with pytest.raises(TooManyMessages, match="wait 20 s, until 20") as refused:
            check_rate(LIMITS, pair.exchange("a"), pair.now, "b")
        assert refused.value.retry_after == 20

    def test_the_other_direction_counts_for_itself(self) -> None:
        pair = Pair()
        for who in "aaaab":
            pair.write(who)
        check_rate(LIMITS, pair.exchange("a"), pair.now, "b")

    def test_zero_switches_it_off(self) -> None:
        pair = Pair(Limits(per_minute=0))
        for _ in range(200):
            pair.write("a")
        check_rate(pair.limits, pair.exchange("a"), pair.now, "b")


steps = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.5, 7.0, 61.0, 599.0])),
    max_size=60,
)


def seconds_to_wait(pair: Pair, sender: str) -> int:
    """Return for how long a sender is told to wait."""
    try:
        check_rate(pair.limits, pair.exchange(sender), pair.now, "x")
    except TooManyMessages as error:
        return error.retry_after or 0
    return 0


@given(steps, st.integers(1, 8))
def test_no_minute_has_more_messages_than_allowed(
    schedule: list[tuple[str, float]], most: int
) -> None:
    """And whoever waits as long as he is told may write."""
    pair = Pair(Limits(per_minute=most))
    for who, seconds in schedule:
        pair.now += round(seconds * 1000)
        pair.now += 1000 * seconds_to_wait(pair, who)
        check_rate(pair.limits, pair.exchange(who), pair.now, "x")
        pair.write(who)
        minute = [at for sender, at in pair.written if sender == who and at > pair.now - MINUTE]
        assert len(minute) <= most


@given(steps, st.integers(1, 6), st.integers(1, 9))
def test_told_and_held_for_any_exchange(
    schedule: list[tuple[str, float]], guard_after: int, hold_after: int
) -> None:
    """Nobody is told below the limits; from the second one on everything is held, in order."""
    pair = Pair(Limits(guard_after=guard_after, hold_after=hold_after))
    was_held = False
    for who, seconds in schedule:
        told = pair.write(who, seconds)
        used = sum(at > pair.now - pair.limits.window for _, at in pair.written)
        is_held = told is not None and told.is_held
        assert is_held == (was_held or used >= hold_after)
        was_held = is_held
        if told is not None:
            assert told.used == used
            assert is_held or used >= guard_after
