"""The application and the server together, on a real socket, in virtual time."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator

import pytest
import trio
from quart import Blueprint
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.handover import Handover
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import MailRoute, Route
from claude_mailbox.daemon.http.budget import Budget
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.sockets import open_tcp
from claude_mailbox.daemon.http.stream import STALL_SECONDS, Stream
from claude_mailbox.daemon.web.app import MailboxApp
from claude_mailbox.daemon.web.messages.follow import Follow
from claude_mailbox.daemon.web.messages.mail import MailRoutes
from claude_mailbox.daemon.web.people.mailboxes import MailboxRoutes
from claude_mailbox.model.drafts import Draft
from daemon.kit import World

LARGE = 1024 * 1024


async def fail(request: Request) -> Response:
    """Be a handler with a bug."""
    raise ZeroDivisionError


class Site:
    """A broker behind the application and the server.

    Attributes:
        app: the application.
        closing: set it to end the server.
    """

    def __init__(self, world: World) -> None:
        async def nobody(key: str) -> str | None:
            return None

        callers = Callers(world.presence, nobody, nobody)
        self.handover = Handover(world.broker.leases)
        self.follow = Follow(world.broker, callers)
        self.app = MailboxApp(
            [
                *MailRoutes(world.broker, callers).routes(),
                *MailboxRoutes(world.broker, callers, lambda: {"status": "ok"}).routes(),
                *self.follow.routes(),
                Route("GET", "/bug", fail, None),
            ],
            Blueprint("pages", __name__),
            self.handover,
            hosts=[],
            max_body_bytes=LARGE,
        )
        self.closing = trio.Event()
        self.server = Server(self.app, self.closing, 1.0, Budget(64 * 1024 * 1024))

    def connect(self, nursery: trio.Nursery) -> trio.SocketStream:
        """Return a client's connection."""
        ours, theirs = socket.socketpair()
        stream = Stream(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
        nursery.start_soon(self.server.serve_client, stream)
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    async def ask(self, nursery: trio.Nursery, request: str) -> tuple[str, dict[str, str], bytes]:
        """Send one request; return the status line, the headers but for the date, and the body."""
        client = self.connect(nursery)
        await client.send_all(to_bytes(request))
        await wait_all_tasks_blocked()
        await client.send_eof()
        async with client:
            data = b"".join([part async for part in client])
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        headers.pop("date")
        return status, headers, body


def to_bytes(request: str) -> bytes:
    """Return an HTTP request whose headers are separated by ``|``."""
    return "\r\n".join([*request.split("|"), "Host: localhost", "", ""]).encode()


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    """An application over an empty broker."""
    return Site(world)


class TestLookUp:
    """Plain handlers are called without Quart's request context."""

    async def test_it_is_made_of_quarts_own_routes(self, site: Site) -> None:
        """All of them, and nothing else."""
        rules = {
            (method, rule.rule)
            for rule in site.app.url_map.iter_rules()
            for method in rule.methods - {"HEAD", "OPTIONS"}
            if not rule.rule.startswith("/static/")
        }
        assert set(site.app.plain_routes) == rules

    @pytest.mark.parametrize(
        "request_", ["GET /health HTTP/1.1", "GET /v1/list HTTP/1.1", "GET /v1/peek HTTP/1.1"]
    )
    async def test_quart_answers_the_same(
        self, site: Site, nursery: trio.Nursery, request_: str
    ) -> None:
        """The look-up is faster, and that is all."""
        directly = await site.ask(nursery, request_)
        site.app.plain_routes = {}
        assert await site.ask(nursery, request_) == directly

    async def test_only_the_handover_delivers_mail(
        self, site: Site, world: World, nursery: trio.Nursery, caplog
    ) -> None:
        """Were a route that hands out mail missing in the look-up, it would take nothing."""
        await world.broker.send(Draft("a", "b", "hello"))
        site.app.plain_routes = {}
        status, _, _ = await site.ask(nursery, "GET /v1/watch?name=b HTTP/1.1|X-Mailbox: b")
        assert status.endswith("500 Internal Server Error")
        assert world.states() == {"hello": "waiting"}

    async def test_a_bug_is_logged_and_answered_with_500(
        self, site: Site, nursery: trio.Nursery, caplog
    ) -> None:
        """The client gets a sentence, the log the traceback."""
        status, _, body = await site.ask(nursery, "GET /bug HTTP/1.1")
        assert status.endswith("500 Internal Server Error")
        assert json.loads(body)["reason"] == "error"
        assert "ZeroDivisionError" in caplog.text


def test_only_a_mail_route_is_given_a_custody() -> None:
    """A handler cannot claim without one, so a route cannot hand out mail by oversight."""
    assert "custody" not in Route.respond.__annotations__
    assert "custody" in MailRoute.respond.__annotations__


class TestClientsThatDoNotRead:
    @pytest.mark.parametrize(
        "request_",
        [
            "POST /v1/check-inbox?name=b HTTP/1.1|X-Mailbox: b",
            "POST /v1/check-inbox?name=b&lease=3600 HTTP/1.1|X-Mailbox: b",
            "GET /v1/follow?name=b HTTP/1.1|X-Mailbox: b",
            "GET /v1/follow?name=b&lease=3600 HTTP/1.1|X-Mailbox: b",
        ],
    )
    async def test_mail_goes_back_when_nothing_is_taken(
        self, site: Site, world: World, nursery: trio.Nursery, request_: str
    ) -> None:
        """A client that takes no bytes for half a minute is gone, whatever its socket says."""
        for number in range(6):
            await world.broker.send(Draft("a", "b", f"{number}" * LARGE))
        client = site.connect(nursery)
        await client.send_all(to_bytes(request_))
        await trio.sleep(STALL_SECONDS - 1)
        assert "leased" in world.states().values()
        await trio.sleep(2)
        await wait_all_tasks_blocked()
        assert set(world.states().values()) == {"waiting"}
        assert repr(site.server) == "<Server: 0 connections>"
        await client.aclose()

    async def test_they_do_not_delay_the_shutdown(
        self, site: Site, world: World, nursery: trio.Nursery
    ) -> None:
        """Not even one that sends many requests ahead: after the grace the server hangs up."""
        for number in range(600):
            await world.broker.send(Draft("a", "b", f"{number:03}" + "x" * 15_000))
        listener = open_tcp("127.0.0.1", 0)
        ended = trio.Event()

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            await site.server.serve(listener, task_status=task_status)
            ended.set()

        await nursery.start(serve)
        client = await trio.open_tcp_stream(*listener.socket.getsockname())
        request = to_bytes("POST /v1/check-inbox?name=b&limit=1 HTTP/1.1|X-Mailbox: b")
        nursery.start_soon(send_until_cut, client, request * 600)
        while not a_response_is_stuck(world):
            await wait_all_tasks_blocked()
        start = trio.current_time()
        site.closing.set()
        await ended.wait()
        assert trio.current_time() - start == 1.0
        states = list(world.states().values())
        assert "leased" not in states
        assert "waiting" in states
        await client.aclose()


async def send_until_cut(client: trio.SocketStream, data: bytes) -> None:
    """Send *data*, or as much as the server takes."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await client.send_all(data)


def a_response_is_stuck(world: World) -> bool:
    """Return whether a claimed message waits to be sent."""
    return "leased" in world.states().values()
