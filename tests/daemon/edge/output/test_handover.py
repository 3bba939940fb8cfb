"""A delivery counts as made when its response has left, and not otherwise."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.edge.output.handover import Custody, Handler, Handover
from claude_mailbox.daemon.http.asgi import CONNECTION_KEY, Message, Receive, Send
from claude_mailbox.model.drafts import Draft
from daemon.kit import World

# One that goes out in one piece after the look, and one whose last byte waits for it.
BODY = b'[{"body":"hello"}]'
LONG = b"0123456789" * 2_000


class Client:
    """The far end of one request.

    Attributes:
        body: the bytes of the response so far.
        status: of the response, once it came.
        is_answered: whether the response was ended.

    Args:
        leaves_after: leave as soon as that many bytes of the body have come; None for staying.
    """

    def __init__(self, leaves_after: int | None = None) -> None:
        self.body = b""
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.is_answered = False
        self._leaves_after = leaves_after
        self._asked = False
        self._gone = trio.Event()

    def leave(self) -> None:
        """Close the connection."""
        self._gone.set()

    async def receive(self) -> Message:
        """Give the application the request, then nothing but the disconnect."""
        await trio.lowlevel.checkpoint()
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the response."""
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
            return
        self.body += message.get("body", b"")
        self.is_answered = not message.get("more_body", False)
        if self._leaves_after is not None and len(self.body) >= self._leaves_after:
            self.leave()


class KnowingServer:
    """A server that knows more of its client than the disconnect.

    Attributes:
        looks: how often it was asked to look.
    """

    def __init__(self, is_there: bool, is_broken: bool) -> None:
        self._is_there = is_there
        self._is_broken = is_broken
        self.looks = 0

    def has_whole_request(self) -> bool:
        """Say whether the request is here."""
        return True

    async def is_alive(self) -> bool:
        """Say whether the client is there."""
        self.looks += 1
        return self._is_there

    def is_broken(self) -> bool:
        """Say whether something did not leave."""
        return self._is_broken


def delivering(
    world: World,
    *,
    lease: float | None = None,
    status: int = 200,
    body: bytes = BODY,
    respond: Callable[[Send, bytes], Awaitable[None]] | None = None,
) -> Handler:
    """Return a handler that takes all mail of 'b' and responds with *body*."""

    async def handle(custody: Custody, receive: Receive, send: Send) -> None:
        custody.lease_seconds = lease
        await receive()
        await world.broker.check("b", custody)
        await send({"type": "http.response.start", "status": status, "headers": []})
        if respond is not None:
            await respond(send, body)
        else:
            await send({"type": "http.response.body", "body": body, "more_body": False})

    return handle


async def in_chunks(send: Send, body: bytes) -> None:
    """Send as Quart does: the whole of it with more to come, then an empty end."""
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def in_pieces(send: Send, body: bytes) -> None:
    """Send at most 18 pieces, with empty parts in between."""
    size = -(-len(body) // 18)
    for at in range(0, len(body), size):
        await send({"type": "http.response.body", "body": body[at : at + size], "more_body": True})
        await send({"type": "http.response.body", "more_body": True})
    await send({"type": "http.response.body"})


async def send_one(world: World) -> None:
    """Put 'hello' into mailbox 'b'."""
    await world.broker.send(Draft("a", "b", "hello"))


async def call(world: World, handler: Handler, client: Client) -> Handover:
    """Run one request through a handover."""
    handover = Handover(world.broker.leases)
    await handover.run(handler, {"type": "http"}, client.receive, client.send)
    return handover


RESPONSES = pytest.mark.parametrize("respond", [None, in_chunks, in_pieces])
BODIES = pytest.mark.parametrize("body", [BODY, LONG], ids=["short", "long"])


class TestArrived:
    @RESPONSES
    @BODIES
    async def test_settles_once_the_response_is_out(
        self, world: World, body: bytes, respond
    ) -> None:
        """A client that stays gets the whole response, and the mail is delivered for good."""
        await send_one(world)
        client = Client()
        handover = await call(world, delivering(world, body=body, respond=respond), client)
        assert client.body == body
        assert client.is_answered
        assert world.states() == {"hello": "delivered"}
        assert handover.held() == []

    @RESPONSES
    @BODIES
    async def test_a_client_with_every_byte_is_never_taken_for_gone(
        self, world: World, body: bytes, respond
    ) -> None:
        """A client that leaves upon the last byte has the mail: it must not come again."""
        await send_one(world)
        client = Client(leaves_after=len(body))
        await call(world, delivering(world, body=body, respond=respond), client)
        assert client.body == body
        assert world.states() == {"hello": "delivered"}

    async def test_the_end_comes_after_the_commit(self, world: World) -> None:
        """The connection takes its next request only when the delivery is settled."""
        await send_one(world)
        client = Client()
        states: list[str] = []

        async def spy(message: Message) -> None:
            await client.send(message)
            if client.is_answered:
                states.append(world.states()["hello"])

        await Handover(world.broker.leases).run(
            delivering(world), {"type": "http"}, client.receive, spy
        )
        assert states == ["delivered"]

    async def test_an_explicit_lease_is_left_to_its_holder(self, world: World) -> None:
        """The response of an explicit lease settles nothing."""
        await send_one(world)
        await call(world, delivering(world, lease=60), Client())
        assert world.states() == {"hello": "leased"}

    async def test_tokens_go_out_in_headers_when_a_holder_is_named(self, world: World) -> None:
        """What has no place for leases in its body gets them in headers, safe for any name."""
        await send_one(world)

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            custody: Custody = custody
            custody.lease_seconds = 60
            await world.broker.check("b", custody)
            custody.holder = "bé\r\n,"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": BODY})

        client = Client()
        await call(world, handle, client)
        (token,) = world.bound()
        assert {
            b"x-mailbox-leases": token.encode(),
            b"x-mailbox-holder": b"b%C3%A9%0D%0A%2C",
        } == client.headers

    async def test_without_mail_nothing_is_touched(self, world: World) -> None:
        """A response without mail passes through whole, even though the client is leaving."""
        client = Client(leaves_after=1)
        await call(world, delivering(world), client)
        assert client.body == BODY
        assert client.is_answered


class TestNotArrived:
    @RESPONSES
    @pytest.mark.parametrize("lease", [None, 60])
    async def test_a_client_that_leaves_before_the_last_byte_gets_it_again(
        self, world: World, respond, lease: float | None
    ) -> None:
        """Without the last byte it was not delivered, whatever else went out; any lease ends."""
        await send_one(world)
        client = Client(leaves_after=len(LONG) // 2)
        await call(world, delivering(world, body=LONG, respond=respond, lease=lease), client)
        assert len(LONG) // 2 <= len(client.body) < len(LONG)
        assert world.states() == {"hello": "waiting"}

    @RESPONSES
    async def test_a_client_that_leaves_before_a_short_body_gets_none_of_it(
        self, world: World, respond
    ) -> None:
        """It goes out in one piece, to somebody who is there."""
        await send_one(world)
        client = Client()
        handle = delivering(world, respond=respond)

        async def leave_before_the_end(message: Message) -> None:
            await client.send(message)
            client.leave()

        await Handover(world.broker.leases).run(
            handle, {"type": "http"}, client.receive, leave_before_the_end
        )
        assert client.status == 200
        assert client.body == b""
        assert world.states() == {"hello": "waiting"}

    @BODIES
    async def test_what_the_server_knows_of_a_disconnect_is_used(
        self, world: World, body: bytes
    ) -> None:
        """It may see a client leave, or a piece not leave, before there is a disconnect."""
        for answers in ((False, False), (True, True)):
            await send_one(world)
            client = Client()
            server = KnowingServer(*answers)
            scope = {"type": "http", CONNECTION_KEY: server}
            handle = delivering(world, body=body)
            await Handover(world.broker.leases).run(handle, scope, client.receive, client.send)
            assert "leased" not in world.states().values()
            assert world.states() == {"hello": "waiting"}
            assert server.looks == 1
            await world.broker.check("b", claimed := Custody())
            await world.broker.leases.ack(claimed.tokens)
            assert world.states() == {"hello": "delivered"}
            world.connection.execute("DELETE FROM message; DELETE FROM body")

    async def test_a_client_that_left_before_its_request_was_read_takes_no_mail(
        self, world: World
    ) -> None:
        """The application does not even run."""
        await send_one(world)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        client = Client()
        await Handover(world.broker.leases).run(
            delivering(world), {"type": "http"}, receive, client.send
        )
        assert world.states() == {"hello": "waiting"}
        assert client.status is None

    async def test_leaving_ends_a_long_poll(self, world: World) -> None:
        """The place in the line is free at once, and later mail waits for somebody else."""
        client = Client()

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await receive()
            await world.broker.watch("b", 300, custody)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, world, handle, client)
            await wait_all_tasks_blocked()
            assert world.lines.total() == 1
            client.leave()
            await wait_all_tasks_blocked()
            assert world.lines.total() == 0
        await send_one(world)
        assert world.states() == {"hello": "waiting"}

    async def test_mail_that_comes_as_the_client_leaves_goes_back(self, world: World) -> None:
        """Both in the same turn of the event loop: whatever the watch sees first, nothing is lost."""
        client = Client()

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await receive()
            if await world.broker.watch("b", 300, custody):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": BODY})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, world, handle, client)
            await wait_all_tasks_blocked()
            nursery.start_soon(send_one, world)
            client.leave()
        assert client.body == b""
        assert world.states() == {"hello": "waiting"}

    async def test_the_application_may_wait_for_the_disconnect(self, world: World) -> None:
        """``receive`` gives the request once, and then the disconnect."""
        client = Client()
        seen: list[str] = []

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            with trio.CancelScope(shield=True):
                seen.extend([(await receive())["type"], (await receive())["type"]])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, world, handle, client)
            await wait_all_tasks_blocked()
            client.leave()
        assert seen == ["http.request", "http.disconnect"]

    @pytest.mark.parametrize("lease", [None, 60])
    async def test_an_error_status_puts_mail_back(self, world: World, lease: float | None) -> None:
        """Whoever got an error instead of the mail does not have it."""
        await send_one(world)
        await call(world, delivering(world, status=500, lease=lease), Client())
        assert world.states() == {"hello": "waiting"}

    @BODIES
    async def test_an_error_in_a_200_puts_mail_back(self, world: World, body: bytes) -> None:
        """Some protocols tell of errors that way; the custody knows."""
        await send_one(world)

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            custody: Custody = custody
            await world.broker.check("b", custody)
            custody.has_failed = True
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

        client = Client()
        await call(world, handle, client)
        assert client.body == body
        assert world.states() == {"hello": "waiting"}

    async def test_an_error_that_could_not_be_sent_puts_mail_back(self, world: World) -> None:
        """A send that breaks at the end of an error does not make it a delivery."""
        await send_one(world)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await Handover(world.broker.leases).run(
                delivering(world, status=500), {"type": "http"}, Client().receive, send
            )
        assert world.states() == {"hello": "waiting"}

    async def test_an_exception_puts_mail_back(self, world: World) -> None:
        """An application that breaks after its claim loses nothing."""
        await send_one(world)

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await world.broker.check("b", custody)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await call(world, handle, Client())
        assert world.states() == {"hello": "waiting"}

    async def test_an_application_without_an_answer_puts_mail_back(self, world: World) -> None:
        """Returning is not answering."""
        await send_one(world)

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await world.broker.check("b", custody)

        await call(world, handle, Client())
        assert world.states() == {"hello": "waiting"}

    async def test_mail_put_back_wakes_the_next_in_line(self, world: World) -> None:
        """What one watcher did not get, the next one gets."""
        client = Client()
        claims = []

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await receive()
            await world.broker.watch("b", 300, custody)
            await receive()

        async def next_in_line() -> None:
            claims.append(await world.broker.watch("b", 300, Custody()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, world, handle, client)
            await wait_all_tasks_blocked()
            nursery.start_soon(next_in_line)
            await wait_all_tasks_blocked()
            await send_one(world)
            await wait_all_tasks_blocked()
            assert claims == []
            client.leave()
        assert [(d.attempts, d.body) for c in claims for d in c.deliveries] == [(2, "hello")]


class TestLedgerFails:
    async def test_a_settlement_that_failed_is_repeated(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The client has the mail, so nobody else may get it; it is settled later."""
        await send_one(world)
        client = Client()

        async def respond(send: Send, body: bytes) -> None:
            world.connection.pragma("query_only", True)
            await send({"type": "http.response.body", "body": body})

        handover = await call(world, delivering(world, respond=respond), client)
        assert client.body == BODY
        assert client.is_answered
        assert "could not settle" in caplog.text
        world.connection.pragma("query_only", False)
        assert world.states() == {"hello": "leased"}
        # What is remembered counts as held, so that housekeeping does not put it back.
        for _ in range(3):
            await world.housekeeping.release_orphans(handover.held())
        assert world.states() == {"hello": "leased"}
        await handover.settle_late()
        assert world.states() == {"hello": "delivered"}
        assert handover.held() == []

    async def test_a_repeated_settlement_may_fail_again(self, world: World) -> None:
        """What could not be settled yet stays remembered."""
        await send_one(world)

        async def respond(send: Send, body: bytes) -> None:
            world.connection.pragma("query_only", True)
            await send({"type": "http.response.body", "body": body})

        handover = await call(world, delivering(world, respond=respond), Client())
        with pytest.raises(Exception, match="cannot be written"):
            await handover.settle_late()
        assert len(handover.held()) == 1
        world.connection.pragma("query_only", False)
        await handover.settle_late()
        assert world.states() == {"hello": "delivered"}

    async def test_a_release_that_failed_is_repeated_by_housekeeping(self, world: World) -> None:
        """What nobody holds in two rounds goes back; what somebody holds stays."""
        await send_one(world)

        async def handle(custody: Custody, receive: Receive, send: Send) -> None:
            await world.broker.check("b", custody)
            world.connection.pragma("query_only", True)

        handover = await call(world, handle, Client())
        world.connection.pragma("query_only", False)
        assert world.states() == {"hello": "leased"}
        await world.housekeeping.release_orphans(handover.held())
        assert world.states() == {"hello": "leased"}
        await world.housekeeping.release_orphans(handover.held())
        assert world.states() == {"hello": "waiting"}
