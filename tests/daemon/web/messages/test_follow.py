"""The window of a stream, and how a stream tells what goes wrong."""

import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.daemon.web.messages.follow import (
    ACK_SECONDS,
    BATCH,
    HEARTBEAT_SECONDS,
    WINDOW,
    Follow,
    Reader,
)
from claude_mailbox.errors import ShuttingDown
from claude_mailbox.model.drafts import Draft
from daemon.edge.output.test_handover import Client
from daemon.kit import World, respond


def tokens(count: int, start: int = 0) -> list[str]:
    """Return lease tokens."""
    return [f"{number}-x" for number in range(start, start + count)]


class TestReader:
    async def test_room_shrinks_and_grows(self, autojump_clock) -> None:
        """Every open lease takes a place; whoever ends one gives it back."""
        reader = Reader(None)
        assert await reader.room(0) == WINDOW
        reader.take(tokens(10))
        assert await reader.room(0) == WINDOW - 10
        reader.ended(["3-x", "5-x", "unknown-x"])
        assert await reader.room(0) == WINDOW - 8
        assert repr(reader) == "<Reader: 8 leases open>"
        assert reader.tokens() == [f"{n}-x" for n in (0, 1, 2, 4, 6, 7, 8, 9)]

    async def test_a_full_window_waits_for_an_end(self, autojump_clock, nursery) -> None:
        """One place is enough to go on."""
        reader = Reader(None)
        reader.take(tokens(WINDOW))
        rooms: list[int] = []

        async def wait() -> None:
            rooms.append(await reader.room(1000))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        reader.ended(["unknown-x"])
        await wait_all_tasks_blocked()
        assert rooms == []
        reader.ended(["0-x"])
        await wait_all_tasks_blocked()
        assert rooms == [1]

    async def test_a_full_window_gives_up_in_time(self, autojump_clock) -> None:
        """Then there is no room, and the stream can beat its heart."""
        reader = Reader(None)
        reader.take(tokens(WINDOW))
        start = trio.current_time()
        assert await reader.room(HEARTBEAT_SECONDS) == 0
        assert trio.current_time() - start == HEARTBEAT_SECONDS

    async def test_explicit_leases_that_run_out_make_room(self, autojump_clock) -> None:
        """When their time is over, their places are free."""
        reader = Reader(60)
        reader.take(tokens(WINDOW - 1))
        await trio.sleep(10)
        reader.take(tokens(1, WINDOW))
        start = trio.current_time()
        assert await reader.room(1000) == WINDOW - 1
        assert trio.current_time() - start == 50
        assert reader.tokens() == [f"{WINDOW}-x"]

    async def test_a_stop_of_the_daemon_ends_the_wait_for_room(
        self, autojump_clock, nursery
    ) -> None:
        """Whoever waits for room is told at once, and so is whoever asks later."""
        reader = Reader(None)
        reader.take(tokens(WINDOW))
        ended: list[str] = []

        async def wait() -> None:
            try:
                await reader.room(1000)
            except ShuttingDown as error:
                ended.append(str(error))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        reader.close()
        await wait_all_tasks_blocked()
        await wait()
        assert len(ended) == 2


class Stream:
    """A stream of mailbox 'b'."""

    def __init__(self, world: World, query: str = "name=b") -> None:
        async def nobody(key: str) -> str | None:
            return None

        self.client = Client()
        self.follow = Follow(world.broker, Callers(world.presence, nobody, nobody))
        self._scope: Scope = {
            "type": "http",
            "method": "GET",
            "query_string": query.encode(),
            "headers": [(b"x-mailbox", b"b")],
        }

    async def run(self) -> None:
        """Be the request."""
        (route,) = self.follow.routes()
        await respond(route, self._scope, self.client.receive, self.client.send)

    def lines(self) -> list[object]:
        """Return what came, a heartbeat as None."""
        return [json.loads(line) if line else None for line in self.client.body.splitlines()]


class TestStream:
    async def test_messages_are_sent_as_they_come(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """First a sign of life, then each message once, with its lease."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await wait_all_tasks_blocked()
        assert stream.lines() == [None]
        for body in "12":
            await world.broker.send(Draft("a", "b", body))
            await wait_all_tasks_blocked()
        _, first, second = stream.lines()
        assert (first["body"], second["body"]) == ("1", "2")
        assert {first["lease"], second["lease"]} == world.bound() == set(stream.follow.held())

    async def test_a_silent_stream_has_heartbeats(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """An empty line at every interval without mail."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await trio.sleep(HEARTBEAT_SECONDS * 3 + 1)
        assert stream.lines() == [None] * 4

    async def test_a_stream_with_a_full_window_has_heartbeats(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """The daemon stops sending, says that it is there, and goes on after an ack."""
        with world.connection:
            for number in range(WINDOW + 5):
                create_transaction(world.connection).mail.send(Draft("b", "b", str(number)), 1)
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await wait_all_tasks_blocked()
        bodies = [line["body"] for line in stream.lines()]
        assert bodies == [str(number) for number in range(WINDOW)]
        await trio.sleep(HEARTBEAT_SECONDS * 2 + 1)
        assert stream.lines()[WINDOW:] == [None, None]
        await world.broker.leases.ack(stream.follow.held()[:3])
        await wait_all_tasks_blocked()
        assert [line["body"] for line in stream.lines()[WINDOW + 2 :]] == [
            str(number) for number in range(WINDOW, WINDOW + 3)
        ]

    async def test_what_is_released_comes_again(self, world: World, nursery: trio.Nursery) -> None:
        """To the same stream, with its attempts counted."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await world.broker.send(Draft("a", "b", "1"))
        await wait_all_tasks_blocked()
        await world.broker.leases.release(sorted(world.bound()))
        await wait_all_tasks_blocked()
        assert [line["attempts"] for line in stream.lines() if line] == [1, 2]

    @pytest.mark.parametrize(("query", "seconds"), [("", ACK_SECONDS), ("&lease=10", 10)])
    async def test_a_reader_that_acks_nothing_is_cut(
        self, world: World, nursery: trio.Nursery, query: str, seconds: float
    ) -> None:
        """It may be stopped: what it holds goes to the next one, and what comes later, too."""
        stopped, healthy = Stream(world, f"name=b{query}"), Stream(world)
        async with trio.open_nursery() as stopping:
            stopping.start_soon(stopped.run)
            await wait_all_tasks_blocked()
            nursery.start_soon(healthy.run)
            await wait_all_tasks_blocked()
            await world.broker.send(Draft("a", "b", "1"))
            start = trio.current_time()
        assert trio.current_time() - start == seconds
        assert not stopped.client.is_answered
        await wait_all_tasks_blocked()
        await world.broker.send(Draft("a", "b", "2"))
        await wait_all_tasks_blocked()
        messages = [line for line in healthy.lines() if line]
        assert [(line["body"], line["attempts"]) for line in messages] == [("1", 2), ("2", 1)]

    async def test_a_reader_that_acks_something_may_take_its_time(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """One message may take it long while it goes on with the others."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await world.broker.send(Draft("a", "b", "long"))
        await wait_all_tasks_blocked()
        for _ in range(5):
            await trio.sleep(ACK_SECONDS - 1)
            await world.broker.send(Draft("a", "b", "short"))
            await wait_all_tasks_blocked()
            await world.broker.leases.ack(stream.follow.held()[1:])
        assert len(stream.follow.held()) == 1

    async def test_a_reader_without_mail_may_be_silent(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """There is nothing that it could ack."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await trio.sleep(ACK_SECONDS * 10)
        await world.broker.send(Draft("a", "b", "1"))
        await wait_all_tasks_blocked()
        assert len(stream.follow.held()) == 1

    async def test_a_reader_that_extends_its_lease_is_alive(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """Until the new end."""
        stream = Stream(world, "name=b&lease=10")
        async with trio.open_nursery() as following:
            following.start_soon(stream.run)
            await world.broker.send(Draft("a", "b", "1"))
            await wait_all_tasks_blocked()
            start = trio.current_time()
            await world.broker.leases.extend(stream.follow.held(), 100)
        assert trio.current_time() - start == 100

    async def test_a_rename_is_the_last_line(self, world: World) -> None:
        """The mail that is out goes back, and waits under the new name."""
        stream = Stream(world)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await world.broker.send(Draft("a", "b", "1"))
            await wait_all_tasks_blocked()
            await world.broker.mailboxes.rename("b", "new")
        assert stream.lines()[-1] == {"renamed": "new"}
        assert stream.client.is_answered
        assert world.states() == {"1": "waiting"}

    async def test_shutting_down_ends_it_well(self, world: World) -> None:
        """Those that wait for mail as well as those that wait for room."""
        stream = Stream(world)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await wait_all_tasks_blocked()
            world.lines.close(ShuttingDown("bye"))
        assert stream.client.is_answered
        assert stream.lines() == [None]

    async def test_an_error_before_the_first_line_is_a_status(self, world: World) -> None:
        """A stream that cannot begin is an error like any other."""
        stream = Stream(world)
        await world.presence.touch("b")
        with world.read_only():
            await stream.run()
        assert stream.client.status == 503
        assert stream.lines()[0]["reason"] == "unavailable"

    async def test_a_later_error_is_the_last_line(self, world: World) -> None:
        """The reader learns why it ends."""
        stream = Stream(world)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await wait_all_tasks_blocked()
            await world.broker.send(Draft("a", "b", "1"))
            with world.read_only():
                await wait_all_tasks_blocked()
                await trio.sleep(HEARTBEAT_SECONDS + 1)
        assert stream.client.status == 200
        assert stream.client.is_answered
        assert stream.lines()[-1]["reason"] == "unavailable"
        assert world.states() == {"1": "waiting"}

    async def test_a_release_that_fails_is_repeated_by_housekeeping(
        self, world: World, nursery: trio.Nursery
    ) -> None:
        """Nobody holds the leases any more, so they count as orphans."""
        stream = Stream(world)
        nursery.start_soon(stream.run)
        await world.broker.send(Draft("a", "b", "1"))
        await wait_all_tasks_blocked()
        with world.read_only():
            stream.client.leave()
            await wait_all_tasks_blocked()
        assert stream.follow.held() == []
        assert world.states() == {"1": "leased"}
        for _ in range(2):
            await world.housekeeping.release_orphans(stream.follow.held())
        assert world.states() == {"1": "waiting"}

    def test_a_batch_fits_the_window(self) -> None:
        """Otherwise a window that is nearly full would never be used."""
        assert 1 <= BATCH <= WINDOW
