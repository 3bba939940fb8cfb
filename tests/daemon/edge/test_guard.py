"""What the guard does over time, and with requests that come in pieces."""

import json
from collections.abc import Sequence

import pytest
import trio

from claude_mailbox.daemon.edge.guard import Guard
from claude_mailbox.daemon.http.asgi import Message, Receive, Scope, Send

LIMIT = 100
MOST = LIMIT * 6 + 64 * 1024


class Request:
    """One request through a guard, and what came of it.

    Attributes:
        seen: the messages that the application got, or None when it was not called.
        status: of the answer.
        answer: its JSON.
    """

    def __init__(self, parts: Sequence[Message | float], **headers: str) -> None:
        self.seen: list[Message] | None = None
        self.status = 0
        self.answer: dict[str, str] = {}
        self.headers: dict[bytes, bytes] = {}
        self._parts = list(parts)
        fields = {"host": "localhost", "content-type": "application/json", **headers}
        self.scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/send",
            "headers": [
                (key.replace("_", "-").encode(), value.encode()) for key, value in fields.items()
            ],
        }

    async def run(self) -> "Request":
        """Send it."""
        await Guard(self._app, ["Mail.Example"], LIMIT)(self.scope, self._receive, self._send)
        return self

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen = [await receive()]
        if self._parts:
            self.seen.append(await receive())

    async def _receive(self) -> Message:
        while self._parts:
            part = self._parts.pop(0)
            if not isinstance(part, float):
                return part
            await trio.sleep(part)
        return await trio.sleep_forever()

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.answer = json.loads(message["body"])


def part(body: bytes, *, more: bool = True) -> Message:
    """Return a piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


class TestBody:
    async def test_pieces_become_one(self, autojump_clock) -> None:
        """The application gets the whole body at once, and what comes after it."""
        pieces = [part(b"a"), 29.0, part(b""), part(b"b", more=False), GONE]
        request = await Request(pieces, transfer_encoding="chunked").run()
        assert request.seen == [part(b"ab", more=False), GONE]

    async def test_a_body_that_stops_is_refused(self, autojump_clock) -> None:
        """Half a minute is enough for any body; the connection ends."""
        request = await Request([part(b"a"), 31.0], transfer_encoding="chunked").run()
        assert request.seen is None
        assert (request.status, request.answer["reason"]) == (408, "request-timeout")
        assert request.headers[b"connection"] == b"close"

    async def test_a_body_that_trickles_is_refused(self, autojump_clock) -> None:
        """A byte now and then does not buy more time."""
        drip = [piece for _ in range(40) for piece in (part(b"a"), 1.0)]
        request = await Request(drip, content_length="50").run()
        assert request.status == 408

    async def test_a_client_that_leaves_in_the_body_is_dropped(self, autojump_clock) -> None:
        """Nobody is left to answer, and nothing is done."""
        request = await Request([part(b"a"), GONE], content_length="5").run()
        assert request.seen is None
        assert request.status == 0

    @pytest.mark.parametrize("size", [MOST, MOST + 1])
    async def test_the_limit_of_a_declared_size(self, autojump_clock, size: int) -> None:
        """One byte more is refused before it is read."""
        text = b'"' + b"x" * (size - 2) + b'"'
        request = await Request([part(text, more=False)], content_length=str(size)).run()
        assert request.status == (0 if size == MOST else 413)
        assert (request.seen is None) is (size > MOST)

    @pytest.mark.parametrize("size", [MOST, MOST + 1])
    async def test_the_limit_of_an_undeclared_size(self, autojump_clock, size: int) -> None:
        """It is noticed as soon as it is passed: what comes later is not read."""
        pieces = [part(b'"' + b"x" * (size - 2)), part(b'"', more=False), part(b"never")]
        request = await Request(pieces, transfer_encoding="chunked").run()
        assert request.status == (0 if size == MOST else 413)

    @pytest.mark.parametrize(("values", "status"), [(64 * 1024, 0), (64 * 1024 + 1, 413)])
    async def test_json_around_texts_is_limited(
        self, autojump_clock, values: int, status: int
    ) -> None:
        """Whatever is in the texts, which may have quotes and brackets themselves."""
        body = b'"\\\\\\"{}",' + b"1" * (values - 3)
        request = await Request([part(body, more=False)], content_length=str(len(body))).run()
        assert request.status == status

    async def test_content_length_with_chunks_is_refused(self, autojump_clock) -> None:
        """Two ways to tell where the body ends are one too many."""
        request = await Request([], transfer_encoding="chunked", content_length="5").run()
        assert request.status == 400

    async def test_a_request_without_a_body_is_passed_on(self, autojump_clock) -> None:
        """Nothing is awaited; the application reads for itself."""
        request = Request([part(b"", more=False)], content_length="0")
        request.scope["headers"] = [(b"host", b"localhost")]
        assert (await request.run()).seen == [part(b"", more=False)]


class TestOtherProtocols:
    async def test_websockets_are_refused(self, autojump_clock) -> None:
        """Are turned away."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        request = Request([])
        guard = Guard(request._app, [], LIMIT)
        await guard({"type": "websocket"}, request._receive, send)
        assert [message["type"] for message in sent] == ["websocket.close"]
        assert request.seen is None

    @pytest.mark.parametrize("version", ["0.9", "2.0", "3"])
    async def test_other_http_versions_are_refused(self, autojump_clock, version: str) -> None:
        """Only HTTP/1 and, through Hypercorn, HTTP/2 are spoken."""
        request = Request([])
        request.scope["http_version"] = version
        assert (await request.run()).status == 400

    async def test_allowed_hosts_in_any_case(self, autojump_clock) -> None:
        """Names of hosts have no case."""
        request = Request([part(b"{}", more=False)], content_length="2", host="MAIL.example:1")
        assert (await request.run()).seen is not None
