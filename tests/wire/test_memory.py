"""How much memory clients can make the daemon take."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.rpc import Rpc
from support.daemon import DaemonProcess
from wire.conftest import address_of
from wire.connection import Connection
from wire.mail import Mail

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEBIBYTE = 1024 * 1024
# The budget is 64 MiB; some is on its way there, and some is the allocator's.
MORE_AT_MOST = 180 * MEBIBYTE


@pytest.fixture
def lone() -> Iterator[DaemonProcess]:
    """A daemon that has done nothing yet."""
    with DaemonProcess() as process:
        wait_until_ready(process)
        yield process


def highest(process: DaemonProcess) -> int:
    """Return the most memory that the process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_many_readers_that_take_nothing_cost_little_memory(lone: DaemonProcess) -> None:
    """Those beyond the budget get a 503, their mail stays, and small requests go on."""
    body = "x" * 1_000_000
    with ExitStack() as stack:
        mail = stack.enter_context(Mail(address_of(lone)))
        for number in range(30):
            for _ in range(8):
                mail.send("peer", f"box-{number}", body)
        before = highest(lone)
        deaf = [
            stack.enter_context(Connection(address_of(lone), receive_buffer=4096))
            for _ in range(30)
        ]
        for number, connection in enumerate(deaf):
            connection.start("POST", f"/v1/check-inbox?name=box-{number}", f"box-{number}")
        heads = [connection.read_head().partition(b" ")[2][:3] for connection in deaf]

        assert highest(lone) - before < MORE_AT_MOST
        assert set(heads) == {b"200", b"503"}
        refused = heads.index(b"503")
        mail.send("peer", "small")
        assert mail.bodies("small") == ["hello"]
        assert mail.peek(f"box-{refused}")["pending"] == 8
        for connection in deaf:
            connection.close()
        reply = mail.request("POST", f"/v1/check-inbox?name=box-{refused}", f"box-{refused}")
        while reply.status == 503:
            reply = mail.request("POST", f"/v1/check-inbox?name=box-{refused}", f"box-{refused}")
        assert [message["body"] for message in reply.json()] == [body] * 8


def test_json_of_many_small_values_is_refused(lone: DaemonProcess) -> None:
    """Empty objects take fifty times their length in memory: they are refused, texts are not."""
    before = highest(lone)
    for junk in (b"{}", b"[]", b"1", b'""', b'"a"', b'"\\\\",{}'):
        body = b'{"to":"me","body":"x","junk":[' + b",".join([junk] * 1_000_000) + b"]}"
        with ExitStack() as stack:
            crowd = [stack.enter_context(Connection(address_of(lone))) for _ in range(4)]
            for connection in crowd:
                connection.start("POST", "/v1/send", "peer", body=body)
            for connection in crowd:
                connection.read().error(413, "too-large")
    assert highest(lone) - before < MORE_AT_MOST / 2
    text = '{"a": ["\\\\", {}]}' * 50_000
    with Mail(address_of(lone)) as mail:
        mail.send("peer", "me", text)
        assert mail.bodies("me") == [text]


def test_a_tool_call_fits_a_budget_that_is_used_up(lone: DaemonProcess) -> None:
    """Its result is small whatever waits: a long message comes in parts."""
    with ExitStack() as stack:
        mail = stack.enter_context(Mail(address_of(lone)))
        mail.send("peer", "me", "y" * 50_000)
        for number in range(70):
            mail.send("peer", f"deaf-{number}", "x" * 1_000_000)
        heads = []
        for number in range(70):
            deaf = stack.enter_context(Connection(address_of(lone), receive_buffer=4096))
            deaf.start("POST", f"/v1/check-inbox?name=deaf-{number}", f"deaf-{number}")
            heads.append(deaf.read_head().partition(b" ")[2][:3])
        assert heads[-1] == b"503"
        rpc = stack.enter_context(Rpc(address_of(lone)))
        rpc.begin("tools/call", {"name": "check_inbox", "arguments": {"name": "me"}})

        assert rpc.read().status == 200

        assert "Traceback" not in lone.log()


def test_many_uploads_that_never_end_are_limited(lone: DaemonProcess) -> None:
    """Those beyond the budget get a 503; small requests go on."""
    before = highest(lone)
    headers = {"Content-Length": "6300000", "Content-Type": "application/json"}
    with ExitStack() as stack:
        for _ in range(100):
            upload = stack.enter_context(Connection(address_of(lone)))
            upload.start("POST", "/v1/send", "greedy", headers=headers)
            try:
                upload.write(b"x" * 6_000_000)
            except ConnectionError:
                continue
        mail = stack.enter_context(Mail(address_of(lone)))
        mail.send("peer", "small")

        assert mail.bodies("small") == ["hello"]
        assert highest(lone) - before < MORE_AT_MOST


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 10_000, id="trailers"),
        pytest.param(b"2\r\n{}\r\n0\r\nX: ", b"y" * 65536, id="trailer value"),
        pytest.param(b"", b"1\r\nx\r\n" * 10_000, id="small chunks"),
        pytest.param(
            b"2\r\n{}\r\n0\r\n\r\n",
            (b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 100 + b"\r\n") * 100,
            id="requests sent ahead",
        ),
    ],
)
def test_a_client_that_sends_without_end_costs_little_memory(
    lone: DaemonProcess, head: bytes, piece: bytes
) -> None:
    """It is refused, or left waiting; either way it costs next to nothing."""
    before = highest(lone)
    with Connection(address_of(lone)) as client:
        # Whatever comes behind a watch is sent ahead of its turn.
        client.start("GET", "/v1/watch?name=me&timeout=60", "me")
        client.write(
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: me\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + head
        )
        client.socket.settimeout(0.5)
        try:
            for _ in range(60 * MEBIBYTE // len(piece)):
                client.write(piece)
        except (TimeoutError, ConnectionError):
            pass

        assert highest(lone) - before < 16 * MEBIBYTE
