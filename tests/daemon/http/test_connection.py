"""What the server takes from a client before it has answered."""

import socket

import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.http.asgi import Receive, Scope, Send
from claude_mailbox.daemon.http.budget import Budget
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.stream import Stream

WATCH = b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n"
MEBIBYTE = 1024 * 1024


class WaitingServer:
    """One connection to a server whose application waits until it is let go.

    Attributes:
        bodies: sizes of the requests' bodies, in the order of answering.
        gone: how many requests saw their client leave.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        ours, theirs = socket.socketpair()
        # Small buffers, so that what is sent is what was taken.
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket = ours
        self.client = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        self.bodies: list[int] = []
        self.gone = 0
        self.let_go = trio.Event()
        stream = Stream(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        nursery.start_soon(
            Server(self._app, trio.Event(), 1, Budget(64 * MEBIBYTE)).serve_client, stream
        )

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
            if not message["more_body"]:
                break
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_out, receive)
            await self.let_go.wait()
            nursery.cancel_scope.cancel()
        self.bodies.append(size)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def _watch_out(self, receive: Receive) -> None:
        if (await receive())["type"] == "http.disconnect":
            self.gone += 1

    async def send_as_much_as_it_takes(self, data: bytes) -> int:
        """Send until nothing more is taken; return how many bytes were."""
        sent = before = 0
        while sent < len(data):
            try:
                sent += self._socket.send(data[sent : sent + 65536])
            except BlockingIOError:
                if sent == before:
                    break
                before = sent
                await wait_all_tasks_blocked()
        return sent


async def test_a_large_request_ahead_of_its_turn_stays_outside(nursery: trio.Nursery) -> None:
    """While another is being answered only so much is taken; later all of it."""
    server = WaitingServer(nursery)
    body = bytes(20 * MEBIBYTE)
    head = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    sent = await server.send_as_much_as_it_takes(WATCH + head + body)
    assert MEBIBYTE < sent < 4 * MEBIBYTE
    server.let_go.set()
    await server.client.send_all((WATCH + head + body)[sent:])
    await wait_all_tasks_blocked()
    answers = b""
    while answers.count(b"200 OK") < 2:
        answers += await server.client.receive_some()
    assert server.bodies == [0, len(body)]
    await server.client.aclose()


async def test_many_requests_ahead_of_their_turn_stay_outside(nursery: trio.Nursery) -> None:
    """Small ones are counted; all of them are answered in the end."""
    server = WaitingServer(nursery)
    data = WATCH * 5000
    sent = await server.send_as_much_as_it_takes(data)
    assert sent < len(data)
    server.let_go.set()
    nursery.start_soon(server.client.send_all, data[sent:])
    answers = 0
    while answers < 5000:
        answers += (await server.client.receive_some()).count(b"HTTP/1.1")
    assert server.bodies == [0] * 5000
    await server.client.aclose()


async def test_a_disconnect_after_pipelined_requests_is_noticed(nursery: trio.Nursery) -> None:
    """Who has sent the next request already may leave all the same."""
    server = WaitingServer(nursery)
    await server.client.send_all(WATCH * 3)
    await wait_all_tasks_blocked()
    await server.client.aclose()
    await wait_all_tasks_blocked()
    assert server.gone == 1
    server.let_go.set()


async def test_a_client_that_pipelines_does_not_keep_others_waiting(nursery: trio.Nursery) -> None:
    """Even when each is answered at once, others have their turns in between."""
    answered = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal answered
        answered += 1
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    ours, theirs = socket.socketpair()
    client = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    stream = Stream(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
    await client.send_all(WATCH * 50)
    nursery.start_soon(Server(app, trio.Event(), 1, Budget(64 * MEBIBYTE)).serve_client, stream)
    turns = 0
    while answered < 50:
        await trio.lowlevel.checkpoint()
        turns += 1
    assert turns >= 50
    await client.aclose()
