"""When a client counts as gone because it takes no bytes."""

import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.http.stream import (
    LEAST_BYTES_PER_SECOND,
    STALL_SECONDS,
    ClientGone,
    Stream,
)

MEBIBYTE = 1024 * 1024


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the socket of its client."""
    if request.param == "unix":
        ours, client = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            ours = listener.accept()[0]
    client.setblocking(False)
    stream = Stream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    yield stream, client
    stream.close()
    client.close()


def read_all(client: socket.socket) -> int:
    """Read what is there; return how many bytes that were."""
    count = 0
    while True:
        try:
            data = client.recv(MEBIBYTE)
        except BlockingIOError:
            return count
        if not data:
            return count
        count += len(data)


async def test_a_client_that_takes_nothing_is_gone(pair, autojump_clock) -> None:
    """After half a minute, and its connection is cut."""
    stream, _client = pair
    start = trio.current_time()
    with pytest.raises(ClientGone):
        await stream.send(bytes(64 * MEBIBYTE))
    assert trio.current_time() - start == STALL_SECONDS
    assert await stream.receive(1) == b""
    with pytest.raises(ClientGone):
        await stream.send(b"more")


async def test_a_slow_client_is_not_gone(pair, autojump_clock, nursery) -> None:
    """As long as it takes something now and then it gets all."""
    stream, client = pair
    size = 16 * MEBIBYTE
    nursery.start_soon(stream.send, bytes(size))
    taken = 0
    while taken < size:
        await trio.sleep(STALL_SECONDS - 1)
        taken += read_all(client)
        await wait_all_tasks_blocked()
    assert taken == size


async def test_a_client_that_takes_next_to_nothing_is_gone(pair, autojump_clock, nursery) -> None:
    """A byte now and then does not keep a response, and its mail, for ever."""
    stream, client = pair
    size = 8 * MEBIBYTE
    is_gone = trio.Event()

    async def send() -> None:
        with pytest.raises(ClientGone):
            await stream.send(bytes(size))
        is_gone.set()

    nursery.start_soon(send)
    end = trio.current_time() + STALL_SECONDS + 2 * size / LEAST_BYTES_PER_SECOND
    while not is_gone.is_set() and trio.current_time() < end:
        await trio.sleep(STALL_SECONDS - 1)
        client.recv(1)
        await wait_all_tasks_blocked()
    assert is_gone.is_set()


async def test_abort_ends_pending_calls(pair, nursery) -> None:
    """Who waits to send sees the client gone, and who waits to receive sees the end."""
    stream, _ = pair
    ends: list[str] = []

    async def send() -> None:
        with pytest.raises(ClientGone):
            await stream.send(bytes(64 * MEBIBYTE))
        ends.append("send")

    async def receive() -> None:
        assert await stream.receive(1) == b""
        ends.append("receive")

    nursery.start_soon(send)
    nursery.start_soon(receive)
    await wait_all_tasks_blocked()
    assert ends == []
    stream.abort()
    await wait_all_tasks_blocked()
    assert sorted(ends) == ["receive", "send"]
