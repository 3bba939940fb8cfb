"""The whole application under plain Hypercorn, as clients beyond this machine will meet it."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config

from claude_mailbox.daemon.edge.network.connection_limit import surplus
from claude_mailbox.daemon.edge.network.server import serve_network
from claude_mailbox.daemon.http.sockets import open_tcp
from claude_mailbox.model.drafts import Draft
from daemon.kit import World, open_world
from daemon.web.test_app import Site, to_bytes

MAX_CONNECTIONS = 5


PLAIN = "plain"


@pytest.fixture
async def behind_hypercorn(
    scratch: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    """A broker, and a client of the application: as the daemon serves it, or `PLAIN` Hypercorn."""
    async with open_world(scratch) as opened, trio.open_nursery() as nursery:
        site = Site(opened)
        if getattr(request, "param", None) == PLAIN:
            config = Config()
            config.bind = ["127.0.0.1:0"]
            (url,) = await nursery.start(
                partial(hypercorn.trio.serve, site.app, config, shutdown_trigger=site.closing.wait)
            )
        else:
            listener = open_tcp("127.0.0.1", 0)
            url = listener.address
            serve = partial(serve_network, max_connections=MAX_CONNECTIONS)
            await nursery.start(serve, site.app, listener.socket, site.closing, 1.0)
        async with httpx.AsyncClient(base_url=url, headers={"X-Mailbox": "b"}) as client:
            yield opened, client
        site.closing.set()


async def until_states(world: World, states: dict[str, str]) -> None:
    """Wait for messages to be in these states: a delivery is settled behind its response."""
    with trio.fail_after(30):
        while world.states() != states:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("behind_hypercorn", ["ours", PLAIN], indirect=True)
async def test_mail_is_delivered(behind_hypercorn) -> None:
    """Taken at once, waited for, and streamed; settled when its response has left."""
    world, client = behind_hypercorn
    sent = await client.post("/v1/send", json={"to": "b", "body": "one"})
    assert sent.json()["state"] == "queued"
    taken = await client.post("/v1/check-inbox?name=b")
    assert [message["body"] for message in taken.json()] == ["one"]

    async def send_when_watched() -> None:
        while not world.lines.count("b"):
            await trio.lowlevel.checkpoint()
        await world.broker.send(Draft("a", "b", "two"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_when_watched)
        watched = await client.get("/v1/watch?name=b")
    assert watched.json()["body"] == "two"
    await until_states(world, {"one": "delivered", "two": "delivered"})


async def test_mail_of_a_client_that_leaves_goes_back(behind_hypercorn) -> None:
    """A watcher's disconnect is noticed: the next message waits for the next one."""
    world, client = behind_hypercorn
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, "/v1/watch?name=b")
            while not world.lines.count("b"):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        while world.lines.count("b"):
            await trio.lowlevel.checkpoint()
        await world.broker.send(Draft("a", "b", "hello"))
        assert world.states() == {"hello": "waiting"}


async def test_a_stream_ends_with_its_client(behind_hypercorn) -> None:
    """What it held goes back."""
    world, client = behind_hypercorn
    await world.broker.send(Draft("a", "b", "hello"))
    # httpx would leave its generators to the garbage collector.
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 80)
    await stream.send_all(to_bytes("GET /v1/follow?name=b HTTP/1.1|X-Mailbox: b"))
    received = b""
    while b'"hello"' not in received:
        received += await stream.receive_some()
    assert world.states() == {"hello": "leased"}
    await stream.aclose()
    await until_states(world, {"hello": "waiting"})


async def test_the_guard_checks_requests(behind_hypercorn) -> None:
    """Host, origin and content type are checked here, too."""
    _, client = behind_hypercorn
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert (await client.get("/health", headers=headers)).status_code == 403
    assert (await client.post("/v1/send", content=b"{}")).status_code == 415
    assert (await client.head("/health")).status_code == 200


async def test_one_connection_too_many_is_closed(behind_hypercorn) -> None:
    """And there is a place again when another one ends."""
    _, client = behind_hypercorn
    host, port = client.base_url.host, client.base_url.port or 80

    async def is_served(stream: trio.SocketStream) -> bool:
        try:
            await stream.send_all(to_bytes("GET /health HTTP/1.1|X-Mailbox: b"))
            return (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        except trio.BrokenResourceError:
            return False

    with trio.fail_after(30):
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(await trio.open_tcp_stream(host, port))
                for _ in range(MAX_CONNECTIONS + 1)
            ]
            open_ones = set(streams)

            async def watch_for_end(stream: trio.SocketStream) -> None:
                with contextlib.suppress(trio.BrokenResourceError):
                    assert await stream.receive_some() == b""
                open_ones.discard(stream)
                nursery.cancel_scope.cancel()

            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(watch_for_end, stream)
            assert len(open_ones) == MAX_CONNECTIONS
            for stream in open_ones:
                assert await is_served(stream)
            await open_ones.pop().aclose()
            async with await trio.open_tcp_stream(host, port) as another:
                assert await is_served(another)


@pytest.mark.parametrize(
    ("addresses", "too_many"),
    [("aab", []), ("aaab", [2]), ("abcd", [3]), ("aaabbc", [2, 4, 5]), ("", [])],
)
def test_one_address_cannot_have_all_connections(addresses: str, too_many: list[int]) -> None:
    """Three may be there in all, two of them from one address."""
    assert surplus(addresses, 3, 2) == too_many
