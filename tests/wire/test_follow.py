"""``GET /v1/follow``: a stream of messages, acked on another connection."""

import json
from typing import Any

import pytest

from wire.conftest import Connect, Fresh
from wire.connection import Connection, path
from wire.mail import Mail

TRANSPORTS = ("tcp", "tls")


class Stream:
    """Reads lines of a stream that has begun."""

    def __init__(self, connection: Connection, name: str, **parameters: object) -> None:
        self.connection = connection
        connection.start("GET", path("/v1/follow", name=name, **parameters), name)
        self.head = connection.read_head()
        assert self.head.startswith(b"HTTP/1.1 200"), self.head
        self._lines: list[bytes] = []

    def message(self) -> Any:
        """Return the next line that is not empty."""
        while not self._lines:
            chunk = self.connection.read_chunk()
            assert chunk, "the stream ended"
            assert chunk.endswith(b"\n")
            self._lines = [line for line in chunk.split(b"\n") if line]
        return json.loads(self._lines.pop(0))

    def messages(self, count: int) -> list[Any]:
        """Return the next lines."""
        return [self.message() for _ in range(count)]


@pytest.fixture
def stream(connect: Connect, fresh: Fresh) -> tuple[Stream, str]:
    """A stream of an empty mailbox, and its name."""
    name = fresh("me")
    return Stream(connect(), name), name


def test_messages_come_as_they_are_sent(mail: Mail, stream: tuple[Stream, str]) -> None:
    """Each a line with its lease; the type says that it is lines."""
    reader, name = stream
    receipt = mail.send("sender", name, "žluť\nand a line")

    message = reader.message()

    assert b"application/x-ndjson" in reader.head.lower()
    assert isinstance(message.pop("lease"), str)
    assert message == {
        "id": receipt["id"],
        "from": "sender",
        "body": "žluť\nand a line",
        "sentAt": receipt["sentAt"],
        "attempts": 1,
    }


def test_the_backlog_comes_first(connect: Connect, fresh: Fresh) -> None:
    """In order, and what is sent meanwhile behind it."""
    name = fresh("me")
    mail = connect()
    for number in range(300):
        mail.send("sender", name, str(number))
    reader = Stream(connect(), name)
    mail.send("sender", name, "300")

    assert [message["body"] for message in reader.messages(301)] == [str(n) for n in range(301)]


def test_acked_messages_do_not_come_again(mail: Mail, stream: tuple[Stream, str]) -> None:
    """The end of the stream brings back the others alone."""
    reader, name = stream
    for number in range(3):
        mail.send("sender", name, str(number))
    tokens = [message["lease"] for message in reader.messages(3)]

    assert mail.outcome("ack", name, tokens[0], tokens[2])["done"] == [tokens[0], tokens[2]]
    reader.connection.close()

    message = mail.watch(name, timeout=60)
    assert message is not None
    assert (message["body"], message["attempts"]) == ("1", 2)
    assert mail.peek(name)["pending"] == 0


@pytest.mark.parametrize("leave", [Connection.close, Connection.close_half, Connection.reset])
def test_what_was_not_acked_comes_again(connect: Connect, fresh: Fresh, leave: Any) -> None:
    """However the reader leaves; and it can no longer ack."""
    name = fresh("me")
    mail = connect()
    mail.send("sender", name)
    reader = Stream(connect(), name)
    token = reader.message()["lease"]
    watcher = connect()
    watcher.start_watch(name)

    leave(reader.connection)

    assert watcher.read().json()["attempts"] == 2
    assert mail.outcome("ack", name, token)["lost"] == [token]


def test_a_released_message_comes_to_the_next(
    connect: Connect, mail: Mail, stream: tuple[Stream, str]
) -> None:
    """The stream itself, when nobody else waits."""
    reader, name = stream
    mail.send("sender", name)
    token = reader.message()["lease"]

    mail.outcome("release", name, token)

    message = reader.message()
    assert message["attempts"] == 2
    assert message["lease"] != token


@pytest.mark.parametrize("address", ["unix"], indirect=True)  # a thousand messages take a while
def test_no_more_than_a_window_is_open(mail: Mail, stream: tuple[Stream, str]) -> None:
    """1,024 messages; with each ack one more comes."""
    reader, name = stream
    for start in range(0, 1030, 103):
        for number in range(start, start + 103):
            mail.start("POST", "/v1/send", "sender", content={"to": name, "body": str(number)})
        for _ in range(103):
            assert mail.read().status == 200

    tokens = [message["lease"] for message in reader.messages(1024)]
    while mail.peek(name)["pending"] != 6:
        pass
    mail.outcome("ack", name, *tokens[:2])

    assert [message["body"] for message in reader.messages(2)] == ["1024", "1025"]
    assert mail.peek(name)["pending"] == 4


def test_a_rename_is_the_last_line(mail: Mail, stream: tuple[Stream, str], fresh: Fresh) -> None:
    """The stream ends in order; its mail is with the new name."""
    reader, name = stream
    new = fresh("new")
    mail.send("sender", name, "not acked")
    reader.message()

    mail.rename(name, new)

    assert reader.message() == {"renamed": new}
    assert reader.connection.read_chunk() == b""
    message = mail.watch(new, timeout=60)
    assert message is not None
    assert message["attempts"] == 2


def test_after_the_stream_the_connection_can_be_used_again(
    mail: Mail, stream: tuple[Stream, str], fresh: Fresh
) -> None:
    """After a stream that ended, the next request."""
    reader, name = stream
    mail.rename(name, fresh("new"))
    reader.message()
    assert reader.connection.read_chunk() == b""

    assert reader.connection.request("GET", "/health").status == 200


def test_connection_close_is_obeyed(connect: Connect, fresh: Fresh) -> None:
    """At the stream's end, when the client asked for it."""
    name = fresh("me")
    reader, mail = connect(), connect()
    reader.start("GET", path("/v1/follow", name=name), name, headers={"Connection": "close"})
    reader.read_head()
    mail.rename(name, fresh("new"))

    assert b"renamed" in reader.read_to_end()


def test_streams_and_watchers_take_turns(connect: Connect, fresh: Fresh) -> None:
    """Who came first is served first, and then stands at the end again."""
    name = fresh("me")
    mail, watcher = connect(), connect()
    reader = Stream(connect(), name)
    mail.wait_for_waiters(1)
    watcher.start_watch(name)
    mail.wait_for_waiters(2)

    mail.send("sender", name, "to the stream")
    assert reader.message()["body"] == "to the stream"
    mail.wait_for_waiters(2)
    mail.send("sender", name, "to the watcher")

    assert watcher.read().json()["body"] == "to the watcher"


class TestRefused:
    """What is wrong is told before the stream begins."""

    def test_a_former_name_is_refused(self, mail: Mail, fresh: Fresh) -> None:
        """409, as from ``watch``."""
        old, new = mail.register(fresh("old")), fresh("new")
        mail.rename(old, new)

        reply = mail.request("GET", path("/v1/follow", name=old), old)

        reply.error(409, "renamed")
        assert reply.json()["to"] == new

    def test_another_mailbox_is_refused(self, connect: Connect, fresh: Fresh) -> None:
        """403."""
        reply = connect().request("GET", path("/v1/follow", name=fresh("me")), fresh("other"))

        reply.error(403, "name-mismatch")

    @pytest.mark.parametrize(
        "query",
        ["", "?name=", "?name=%ff", "?name={}&lease=0", "?name={}&lease=x", "?name={}&name={}"],
    )
    def test_a_malformed_request_is_refused(
        self, connect: Connect, fresh: Fresh, query: str
    ) -> None:
        """400."""
        name = fresh("me")

        reply = connect().request("GET", "/v1/follow" + query.replace("{}", name), name)

        assert reply.status == 400
        assert reply.json()["reason"] in {"bad-request", "invalid-name"}

    def test_without_a_header_it_is_refused(self, connect: Connect, fresh: Fresh) -> None:
        """400."""
        reply = connect().request("GET", path("/v1/follow", name=fresh("me")))

        assert "X-Mailbox" in reply.error(400, "bad-request")
