"""Whatever is interrupted, at whatever moment: no mail is lost, and nobody is left sleeping.

Every test runs its operation again and again, and interrupts it one step of the event loop later
each time, until it comes to its end untouched.
"""

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.output.handover import Custody, Handover
from claude_mailbox.daemon.http.asgi import Receive, Send
from claude_mailbox.daemon.web.messages.follow import Follow
from claude_mailbox.errors import Renamed, ShuttingDown
from claude_mailbox.model.drafts import Draft
from daemon.delivery.moments import Trial, at_every_moment
from daemon.edge.output.test_handover import BODY, LONG, Client, delivering, in_pieces
from daemon.kit import World, custody, respond


class Watcher:
    """A watch in the background.

    Attributes:
        custody: its leases.
        outcome: what it ended with: a body, "nothing", or the name of an error.
    """

    def __init__(self, trial: Trial, name: str = "b") -> None:
        self._world = trial.world
        self._name = name
        self.custody = custody()
        self.outcome = ""
        trial.nursery.start_soon(self._watch)

    async def _watch(self) -> None:
        try:
            claim = await self._world.broker.watch(self._name, 300, self.custody)
        except Renamed as error:
            self.outcome = f"renamed to {error.to}"
        else:
            self.outcome = claim.deliveries[0].body if claim else "nothing"


def assert_each_lease_is_held_once(world: World, *custodians: Custody) -> None:
    """Every lease has exactly one custodian."""
    held = [token for custodian in custodians for token in custodian.tokens]
    assert sorted(held) == sorted(world.bound())


pytestmark = pytest.mark.usefixtures("autojump_clock")


class TestSend:
    async def test_a_message_is_stored_and_its_watcher_woken_or_neither(
        self, scratch: Path, autojump_clock
    ) -> None:
        """A message is there once or not at all; if it is there, the first in line has it."""
        stored = set()

        async def attempt(trial: Trial) -> None:
            first, second = Watcher(trial), await after(Watcher, trial)
            receipts = []
            async with trial.operation():
                receipts.append(await trial.world.broker.send(Draft("a", "b", "hello")))
            stored.add(len(trial.world.states()))
            if receipts or trial.world.states():
                assert trial.world.states() == {"hello": "leased"}
                assert first.outcome == "hello"
            assert second.outcome == ""
            assert trial.world.lines.count("b") == 2 - len(trial.world.states())
            assert_each_lease_is_held_once(trial.world, first.custody, second.custody)

        await at_every_moment(scratch, attempt)
        assert stored == {0, 1}


async def after(make: type[Watcher], trial: Trial) -> Watcher:
    """Make one when the others have come to rest, so that the order is known."""
    await wait_all_tasks_blocked()
    watcher = make(trial)
    await wait_all_tasks_blocked()
    return watcher


class TestWatch:
    async def test_a_watch_of_a_mailbox_with_mail(self, scratch: Path, autojump_clock) -> None:
        """The mail is with this watch or with the next one."""

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "b", "hello"))
            mine = custody()
            async with trial.operation():
                await trial.world.broker.watch("b", 300, mine)
            behind = await after(Watcher, trial)
            assert trial.world.states() == {"hello": "leased"}
            assert behind.outcome == ("" if mine.tokens else "hello")
            assert_each_lease_is_held_once(trial.world, mine, behind.custody)

        await at_every_moment(scratch, attempt)

    async def test_a_watch_while_mail_arrives(self, scratch: Path, autojump_clock) -> None:
        """A watch that gives up while mail arrives leaves it to those behind, in order."""
        winners = set()

        async def attempt(trial: Trial) -> None:
            mine = custody()
            watch = partial(trial.world.broker.watch, "b", 300, mine)
            trial.nursery.start_soon(trial.interruptible, watch)
            behind = [await after(Watcher, trial) for _ in range(2)]
            async with trial.observed():
                await trial.world.broker.send(Draft("a", "b", "1"))
                await trial.world.broker.send(Draft("a", "b", "2"))
            assert trial.world.states() == {"1": "leased", "2": "leased"}
            outcomes = [watcher.outcome for watcher in behind]
            assert outcomes == (["2", ""] if mine.tokens else ["1", "2"])
            assert_each_lease_is_held_once(
                trial.world, mine, *(watcher.custody for watcher in behind)
            )
            assert trial.world.lines.total() == len(mine.tokens)
            winners.add(len(mine.tokens))

        await at_every_moment(scratch, attempt)
        assert winners == {0, 1}

    async def test_a_watch_in_the_middle_of_the_line(self, scratch: Path, autojump_clock) -> None:
        """Whoever leaves from between two others disturbs neither."""

        async def attempt(trial: Trial) -> None:
            first = await after(Watcher, trial)
            mine = custody()
            watch = partial(trial.world.broker.watch, "b", 300, mine)
            trial.nursery.start_soon(trial.interruptible, watch)
            last = await after(Watcher, trial)
            async with trial.observed():
                for body in "12":
                    await trial.world.broker.send(Draft("a", "b", body))
            assert first.outcome == "1"
            assert last.outcome == ("" if mine.tokens else "2")
            assert_each_lease_is_held_once(trial.world, first.custody, mine, last.custody)

        await at_every_moment(scratch, attempt)

    async def test_a_watch_while_a_check_takes_the_mail(
        self, scratch: Path, autojump_clock
    ) -> None:
        """A check that takes the mail, while the front gives up, leaves the line in order."""

        async def attempt(trial: Trial) -> None:
            watch = partial(trial.world.broker.watch, "b", 300, mine := custody())
            trial.nursery.start_soon(trial.interruptible, watch)
            behind, check = await after(Watcher, trial), custody()
            async with trial.observed(), trio.open_nursery() as nursery:
                nursery.start_soon(trial.world.broker.send, Draft("a", "b", "1"))
                nursery.start_soon(trial.world.broker.check, "b", check)
            assert_each_lease_is_held_once(trial.world, mine, behind.custody, check)
            assert trial.world.states() == {"1": "leased"}
            await trial.world.broker.send(Draft("a", "b", "2"))
            await wait_all_tasks_blocked()
            assert_each_lease_is_held_once(trial.world, mine, behind.custody, check)
            assert trial.world.states()["2"] == ("waiting" if behind.outcome == "1" else "leased")

        await at_every_moment(scratch, attempt)

    async def test_a_watch_while_the_daemon_shuts_down(self, scratch: Path, autojump_clock) -> None:
        """The lines may close at any moment: a watch has mail or ends, and never both."""

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "b", "hello"))
            trial.interrupt = lambda lines=trial.world.lines: lines.close(ShuttingDown("bye"))
            mine, claims, ended = custody(), [], False
            async with trial.operation():
                try:
                    claims.append(await trial.world.broker.watch("b", 300, mine))
                    # A second one, for the moments when nothing waits.
                    claims.append(await trial.world.broker.watch("b", 1, custody()))
                except ShuttingDown:
                    ended = True
            assert ended or not trial.is_interrupted or len(claims) == 2
            assert_each_lease_is_held_once(trial.world, mine)
            assert bool(claims) is bool(mine.tokens)
            assert trial.world.lines.total() == 0

        await at_every_moment(scratch, attempt)


class TestCheck:
    @pytest.mark.parametrize("seconds", [None, 60])
    async def test_a_check_leases_all_messages_or_none(
        self, scratch: Path, autojump_clock, seconds
    ) -> None:
        """The custodian has all leases, or there are none."""
        sizes = set()

        async def attempt(trial: Trial) -> None:
            for body in "123":
                await trial.world.broker.send(Draft("a", "b", body))
            mine = custody(seconds)
            async with trial.operation():
                await trial.world.broker.check("b", mine)
            assert_each_lease_is_held_once(trial.world, mine)
            sizes.add(len(mine.tokens))

        await at_every_moment(scratch, attempt)
        assert sizes == {0, 3} or sizes == {3}


class TestRename:
    async def test_done_and_told_or_neither(self, scratch: Path, autojump_clock) -> None:
        """If the name is new, everybody who stood at the old one knows."""
        done = set()

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "other", "x"))
            watcher = await after(Watcher, trial)
            async with trial.operation():
                await trial.world.broker.mailboxes.rename("b", "new")
            rows = await trial.world.broker.listings.all()
            is_done = "new" in {row.name for row, _ in rows}
            done.add(is_done)
            assert watcher.outcome == ("renamed to new" if is_done else "")

        await at_every_moment(scratch, attempt)
        assert done == {True, False}


class TestRelease:
    async def test_done_and_told_or_neither(self, scratch: Path, autojump_clock) -> None:
        """If the message is back, the watcher has it."""

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "b", "hello"))
            mine = custody(60)
            await trial.world.broker.check("b", mine)
            watcher = await after(Watcher, trial)
            async with trial.operation():
                await trial.world.broker.leases.release(mine.tokens)
            assert trial.world.states() == {"hello": "leased"}
            if watcher.custody.tokens:
                assert_each_lease_is_held_once(trial.world, watcher.custody)
            else:
                assert_each_lease_is_held_once(trial.world, mine)

        await at_every_moment(scratch, attempt)


class TestHandover:
    """One request, cancelled from outside or left by its client, with a watcher behind."""

    @pytest.mark.parametrize("respond", [None, in_pieces])
    @pytest.mark.parametrize("body", [BODY, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("leaves", [True, False])
    async def test_delivered_or_passed_on(
        self, scratch: Path, autojump_clock, leaves: bool, body: bytes, respond
    ) -> None:
        """The client has it all and it is settled, or the next in line gets it."""
        outcomes = set()

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "b", "hello"))
            client = Client()
            if leaves:
                trial.interrupt = client.leave
            handler = delivering(trial.world, body=body, respond=respond)
            handover = Handover(trial.world.broker.leases)
            async with trial.operation():
                await handover.run(handler, {"type": "http"}, client.receive, client.send)
            behind = await after(Watcher, trial)
            has_all = client.body == body
            assert trial.world.states() == {"hello": "delivered" if has_all else "leased"}
            assert behind.outcome == ("" if has_all else "hello")
            assert_each_lease_is_held_once(trial.world, behind.custody)
            assert handover.held() == []
            outcomes.add(has_all)

        await at_every_moment(scratch, attempt)
        assert outcomes == {True, False}

    @pytest.mark.parametrize("leaves", [True, False])
    async def test_an_explicit_lease(self, scratch: Path, autojump_clock, leaves: bool) -> None:
        """The client has its token, or the message is free again."""

        async def attempt(trial: Trial) -> None:
            await trial.world.broker.send(Draft("a", "b", "hello"))
            client = Client()
            if leaves:
                trial.interrupt = client.leave
            handler = delivering(trial.world, lease=60)
            handover = Handover(trial.world.broker.leases)
            async with trial.operation():
                await handover.run(handler, {"type": "http"}, client.receive, client.send)
            has_all = client.body == BODY
            assert trial.world.states() == {"hello": "leased" if has_all else "waiting"}

        await at_every_moment(scratch, attempt)

    @pytest.mark.parametrize("leaves", [True, False])
    async def test_a_long_poll(self, scratch: Path, autojump_clock, leaves: bool) -> None:
        """A watch that is left at any moment, around the arrival of mail, passes it on."""
        outcomes = set()

        async def attempt(trial: Trial) -> None:
            async def handle(custody: Custody, receive: Receive, send: Send) -> None:
                await receive()
                claim = await trial.world.broker.watch("b", 300, custody)
                if claim is None:
                    return
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": BODY})

            client = Client()
            if leaves:
                trial.interrupt = client.leave
            handover = Handover(trial.world.broker.leases)
            request = partial(handover.run, handle, {"type": "http"}, client.receive, client.send)
            trial.nursery.start_soon(trial.interruptible, request)
            behind = await after(Watcher, trial)
            async with trial.observed():
                await trial.world.broker.send(Draft("a", "b", "hello"))
            has_all = client.body == BODY
            assert behind.outcome == ("" if has_all else "hello")
            assert trial.world.states() == {"hello": "delivered" if has_all else "leased"}
            assert_each_lease_is_held_once(trial.world, behind.custody)
            outcomes.add(has_all)

        await at_every_moment(scratch, attempt)
        assert outcomes == {True, False}


class TestFollow:
    @pytest.mark.parametrize("lease", ["", "&lease=60"])
    @pytest.mark.parametrize("leaves", [True, False])
    async def test_what_was_not_acked_goes_back(
        self, scratch: Path, autojump_clock, leaves: bool, lease: str
    ) -> None:
        """However a stream ends: nothing is lost, nothing stays leased, nobody stays in line."""

        async def nobody(key: str) -> str | None:
            return None

        async def attempt(trial: Trial) -> None:
            world = trial.world
            await world.broker.send(Draft("a", "b", "1"))
            client = Client()
            if leaves:
                trial.interrupt = client.leave
            follow = Follow(world.broker, Callers(world.presence, nobody, nobody))
            scope = {
                "type": "http",
                "method": "GET",
                "query_string": f"name=b{lease}".encode(),
                "headers": [(b"x-mailbox", b"b")],
            }
            (route,) = follow.routes()
            stream = partial(respond, route, scope, client.receive, client.send)
            async with trial.observed():
                trial.nursery.start_soon(trial.interruptible, stream)
                await wait_all_tasks_blocked()
                await world.broker.send(Draft("a", "b", "2"))
                await wait_all_tasks_blocked()
                acked = await world.broker.leases.ack(sorted(world.bound())[:1])
                await world.broker.send(Draft("a", "b", "3"))
            if not trial.is_interrupted:
                client.leave()
                await wait_all_tasks_blocked()
            states = world.states()
            assert sorted(states) == ["1", "2", "3"]
            assert set(states.values()) <= {"waiting", "delivered"}
            assert list(states.values()).count("delivered") == len(acked.done)
            assert world.lines.total() == 0
            assert follow.held() == []

        await at_every_moment(scratch, attempt)
