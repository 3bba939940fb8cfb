"""What all clients together may make the server keep."""

import json
import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.http.asgi import Receive, Scope, Send
from claude_mailbox.daemon.http.budget import FREE_BYTES, Budget
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.stream import Stream
from claude_mailbox.refusals import Overloaded

LIMIT = 1024 * 1024


class EchoServer:
    """Answers with as many bytes as the path says, once the request is whole."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.budget = Budget(LIMIT)
        self._server = Server(self._app, trio.Event(), 1, self.budget)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(int(scope["path"][1:]))})

    def connect(self) -> trio.SocketStream:
        """Return a client's connection, whose buffers are small."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        stream = Stream(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        self._nursery.start_soon(self._server.serve_client, stream)
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    async def ask(self, size: int) -> trio.SocketStream:
        """Ask for *size* bytes, and take nothing of the response."""
        client = self.connect()
        await client.send_all(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size)
        await wait_all_tasks_blocked()
        return client


@pytest.fixture
async def server(nursery: trio.Nursery) -> EchoServer:
    """A server whose clients may make it keep a mebibyte."""
    return EchoServer(nursery)


async def take_head(client: trio.SocketStream) -> bytes:
    """Return the first bytes of a response."""
    return bytes(await client.receive_some())


def test_small_requests_do_not_count() -> None:
    """So a few clients with much leave all others alone."""
    budget = Budget(LIMIT)
    budget.resize(0, LIMIT + FREE_BYTES)
    budget.resize(0, FREE_BYTES)
    with pytest.raises(Overloaded):
        budget.resize(FREE_BYTES, FREE_BYTES + 1)
    budget.resize(LIMIT + FREE_BYTES, 0)
    budget.resize(FREE_BYTES, FREE_BYTES + 1)
    assert repr(budget) == f"<Budget: 1 of {LIMIT} bytes>"


async def test_a_response_beyond_it_is_a_503(server: EchoServer) -> None:
    """The connection can go on; small responses are not concerned."""
    deaf = await server.ask(LIMIT // 2)
    client = await server.ask(LIMIT)

    answer = await take_head(client)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "overloaded"
    await client.send_all(b"GET /1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await take_head(client)).startswith(b"HTTP/1.1 200 ")
    await deaf.aclose()
    await wait_all_tasks_blocked()
    assert repr(server.budget) == f"<Budget: 0 of {LIMIT} bytes>"
    await client.send_all(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % LIMIT)
    assert (await take_head(client)).startswith(b"HTTP/1.1 200 ")
    await client.aclose()


async def test_an_upload_beyond_it_is_a_503(server: EchoServer) -> None:
    """Others that are smaller go on meanwhile."""
    head = b"POST /5 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    patient, greedy, small = server.connect(), server.connect(), server.connect()
    await patient.send_all(head % LIMIT + bytes(LIMIT // 2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(greedy.send_all, head % LIMIT + bytes(LIMIT))
        answer = await take_head(greedy)
    await small.send_all(head % 5000 + bytes(5000))

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert (await take_head(small)).startswith(b"HTTP/1.1 200 ")
    await patient.send_all(bytes(LIMIT // 2))
    assert (await take_head(patient)).startswith(b"HTTP/1.1 200 ")
    for client in (patient, greedy, small):
        await client.aclose()
    await wait_all_tasks_blocked()
    assert repr(server.budget) == f"<Budget: 0 of {LIMIT} bytes>"
