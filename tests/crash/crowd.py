"""Senders and receivers that go on through every death of the daemon, and keep book."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import h11
import trio

from support.daemon import DaemonProcess

# Long enough for an ack to arrive, short enough that what was lost with a response comes back
# while the test waits for it.
LEASE_SECONDS = 2
# A client that is told to come again later does not come at once.
_PAUSE_SECONDS = 0.05


@dataclass
class Book:
    """What was promised and what was kept, by mailbox.

    Attributes:
        answered: numbers of messages whose send was answered, by sender, in the order of sending.
        received: each delivery: mailbox, message number, attempts.
        acked: messages whose ack was answered with "done".
        missing: messages whose send was answered, and that nobody has received.
        mistakes: what must not happen, in words.
        events: counts everything, so that others can wait for progress.
        may_be_late: whether a daemon was frozen: a response of before comes after all.
    """

    answered: dict[str, list[int]] = field(default_factory=dict)
    received: list[tuple[str, int, int]] = field(default_factory=list)
    acked: set[int] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)
    events: int = 0
    may_be_late: bool = False
    _seen: set[int] = field(default_factory=set)
    _attempts: dict[int, int] = field(default_factory=dict)
    _moved: trio.Event = field(default_factory=trio.Event)

    def note_event(self) -> None:
        """Count, and wake who waits for progress."""
        self.events += 1
        self._moved.set()
        self._moved = trio.Event()

    async def progress(self) -> None:
        """Wait for the next event."""
        await self._moved.wait()

    def note_sent(self, sender: str, number: int) -> None:
        """A send was answered."""
        self.answered.setdefault(sender, []).append(number)
        if number not in self._seen:
            self.missing.add(number)
        self.note_event()

    def note_delivery(self, mailbox: str, message: Mapping[str, object]) -> int:
        """A receiver has a message; return its number."""
        number, attempts = message["id"], message["attempts"]
        assert isinstance(number, int)
        assert isinstance(attempts, int)
        # An older claim than one that was answered already: a frozen daemon's response, come late.
        is_late = self.may_be_late and attempts < self._attempts.get(number, 0)
        self._attempts[number] = max(attempts, self._attempts.get(number, 0))
        if number in self.acked and not is_late:
            self.mistakes.append(f"{number} came to {mailbox} again after its ack was answered")
        if attempts == 1 and number in self._seen and not self.may_be_late:
            self.mistakes.append(f"{number} came to {mailbox} again without saying so")
        self.received.append((mailbox, number, attempts))
        self._seen.add(number)
        self.missing.discard(number)
        self.note_event()
        return number

    def first_deliveries(self, mailbox: str) -> list[int]:
        """Return the numbers that came to a mailbox, each once, in the order of first coming."""
        return list(dict.fromkeys(number for name, number, _ in self.received if name == mailbox))


@dataclass(frozen=True)
class Answer:
    """A response, whole."""

    status: int
    content: Any


@dataclass
class Outlet:
    """Where the daemon is, through all its lives.

    Attributes:
        daemon: the process, whose port is another one in each life.
        is_up: set while it is meant to run.
    """

    daemon: DaemonProcess
    book: Book
    is_up: trio.Event = field(default_factory=trio.Event)
    _connections: int = 0

    async def connect(self) -> trio.SocketStream:
        """Connect, by TCP and by the Unix socket in turn."""
        self._connections += 1
        path = self.daemon.socket_path
        if path is not None and self._connections % 2:
            return await trio.open_unix_socket(path)
        return await trio.open_tcp_stream("127.0.0.1", self.daemon.port)


class DaemonGone(Exception):
    """The daemon died, or does not run, or is stopping."""


class Line:
    """One client's connection, made anew whenever the daemon was.

    Args:
        outlet: where to connect.
        mailbox: who the client is.
    """

    def __init__(self, outlet: Outlet, mailbox: str) -> None:
        self.book = outlet.book
        self.mailbox = mailbox
        self._outlet = outlet
        self._stream: trio.SocketStream | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._rest = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)

    async def ask(self, method: str, path: str, content: object = None) -> Answer | None:
        """Return the answer, or None when the daemon died or stopped over it."""
        body = b""
        try:
            status = await self._request(method, path, content)
            while data := await self._read():
                body += data
            self._http.start_next_cycle()
        except DaemonGone:
            return None
        if status == 503:
            await trio.sleep(_PAUSE_SECONDS)
            return None
        if status not in {200, 204}:
            self.book.mistakes.append(f"{method} {path}: {status} {body!r}")
        return Answer(status, json.loads(body) if body else None)

    async def open_stream(self, path: str) -> None:
        """Begin to read a stream.

        Raises:
            DaemonGone: if the daemon died.
        """
        self._rest = b""
        await self._request("GET", path, None)

    async def next_lines(self) -> list[bytes]:
        """Return the next whole lines of the stream.

        Raises:
            DaemonGone: if the daemon died or ended the stream.
        """
        data = await self._read()
        if not data:
            await self._drop()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    async def _request(self, method: str, path: str, content: object) -> int:
        await self._outlet.is_up.wait()
        if self._stream is None:
            try:
                self._stream = await self._outlet.connect()
            except OSError as error:
                await trio.lowlevel.checkpoint()
                raise DaemonGone from error
            self._http = h11.Connection(h11.CLIENT)
        body = b"" if content is None else json.dumps(content).encode()
        headers = [("Host", "localhost"), ("X-Mailbox", self.mailbox)]
        headers.append(("Content-Length", str(len(body))))
        if body:
            headers.append(("Content-Type", "application/json"))
        request = h11.Request(method=method, target=path, headers=headers)
        parts = [request, h11.Data(data=body), h11.EndOfMessage()]
        try:
            await self._stream.send_all(b"".join(self._http.send(part) or b"" for part in parts))
        except trio.BrokenResourceError:
            await self._drop()
        event = await self._event()
        return event.status_code if isinstance(event, h11.Response) else await self._drop()

    async def _read(self) -> bytes:
        """Return the next part of the body, empty at its end."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        return b"" if isinstance(event, h11.EndOfMessage) else await self._drop()

    async def _event(self) -> object:
        assert self._stream is not None
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                data = await self._stream.receive_some()
            except trio.BrokenResourceError:
                await self._drop()
            try:
                self._http.receive_data(data)
                if not data:
                    self._http.next_event()
            except h11.RemoteProtocolError:
                await self._drop()
            if not data:
                await self._drop()
        return event

    async def _drop(self) -> NoReturn:
        assert self._stream is not None
        stream, self._stream = self._stream, None
        await trio.aclose_forcefully(stream)
        raise DaemonGone

    async def ack(self, tokens: Mapping[str, int]) -> None:
        """Ack until the answer comes, through any number of deaths."""
        while (answer := await self.ask("POST", "/v1/ack", {"leases": list(tokens)})) is None:
            pass
        for token in answer.content["done"]:
            self.book.acked.add(tokens[token])
        self.book.note_event()


async def send_with_keys(outlet: Outlet, sender: str, to: str, stop: trio.Event) -> None:
    """Send messages one after the other, each until it is answered."""
    count = 0
    async with Line(outlet, sender) as line:
        while not stop.is_set():
            content = {"to": to, "body": f"{sender} {count}", "idempotencyKey": str(count)}
            answer = await line.ask("POST", "/v1/send", content)
            if answer is not None:
                outlet.book.note_sent(sender, answer.content["id"])
                count += 1


async def send_and_forget(outlet: Outlet, sender: str, to: str, stop: trio.Event) -> None:
    """Send messages one after the other; what is not answered is given up."""
    count = 0
    async with Line(outlet, sender) as line:
        while not stop.is_set():
            answer = await line.ask("POST", "/v1/send", {"to": to, "body": f"{sender} {count}"})
            if answer is not None:
                outlet.book.note_sent(sender, answer.content["id"])
            count += 1


async def watch(outlet: Outlet, mailbox: str) -> None:
    """Receive one message at a time under an explicit lease, and ack it."""
    path = f"/v1/watch?name={mailbox}&timeout=25&lease={LEASE_SECONDS}"
    async with Line(outlet, mailbox) as line:
        while True:
            answer = await line.ask("GET", path)
            if answer is not None and answer.status == 200:
                number = outlet.book.note_delivery(mailbox, answer.content)
                await line.ack({answer.content["lease"]: number})


async def check(outlet: Outlet, mailbox: str) -> None:
    """Take what there is, plainly, again and again; wait with a watch in between."""
    async with Line(outlet, mailbox) as line:
        while True:
            answer = await line.ask("POST", f"/v1/check-inbox?name={mailbox}")
            for message in answer.content if answer is not None else []:
                outlet.book.note_delivery(mailbox, message)
            answer = await line.ask("GET", f"/v1/watch?name={mailbox}&timeout=25")
            if answer is not None and answer.status == 200:
                outlet.book.note_delivery(mailbox, answer.content)


async def follow(outlet: Outlet, mailbox: str) -> None:
    """Follow the stream, again and again, acking in batches beside it."""
    async with Line(outlet, mailbox) as line, Line(outlet, mailbox) as acks:
        while True:
            try:
                await line.open_stream(f"/v1/follow?name={mailbox}")
                while True:
                    messages = [json.loads(text) for text in await line.next_lines() if text]
                    tokens = {
                        message["lease"]: outlet.book.note_delivery(mailbox, message)
                        for message in messages
                    }
                    if tokens:
                        await acks.ack(tokens)
            except DaemonGone:
                continue
