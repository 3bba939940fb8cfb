"""Ends in order, in spite of everything that goes on at that moment."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.daemon import PATIENCE_SECONDS, DaemonProcess
from wire.connection import Connection
from wire.mail import Mail

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

LARGE = 4_000_000


@pytest.fixture
def roomy() -> Iterator[DaemonProcess]:
    """A daemon that takes messages larger than any socket's buffers."""
    with DaemonProcess({"maxBodyBytes": LARGE}) as process:
        yield process


def start_watch_by_mcp(connection: Connection, name: str) -> None:
    """Call the tool, without waiting for its result."""
    connection.start(
        "POST",
        "/mcp",
        content={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "watch", "arguments": {"name": name, "timeout": 50}},
        },
        headers={
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        },
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_open_request_ends_in_order(roomy: DaemonProcess, number: signal.Signals) -> None:
    """Watchers, streams, half requests, deaf clients: the end comes, and no mail is lost."""
    tcp, local = ("127.0.0.1", roomy.port), roomy.socket_path
    assert local is not None
    with Mail(tcp) as mail:
        for name in ("deaf tcp", "deaf unix", "deaf stream"):
            mail.send("a", name, "x" * LARGE)
        with ExitStack() as stack:
            for place in (tcp, local):
                for watcher in range(3):
                    stack.enter_context(Mail(place)).start_watch(f"watched {watcher}")
                stream = stack.enter_context(Connection(place))
                stream.start("GET", "/v1/follow?name=followed", "followed")
                stack.enter_context(Connection(place)).write(b"POST /v1/send HTTP/1.1\r\nHost: lo")
                stack.enter_context(Connection(place)).write(
                    b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\n"
                    b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
                )
                stack.enter_context(Connection(place))
                start_watch_by_mcp(stack.enter_context(Connection(place)), "by tool")
            for place, target in (
                (tcp, "/v1/check-inbox?name=deaf%20tcp"),
                (local, "/v1/check-inbox?name=deaf%20unix"),
                (tcp, "/v1/follow?name=deaf%20stream"),
            ):
                deaf = stack.enter_context(Connection(place, receive_buffer=4096))
                verb = "POST" if "check" in target else "GET"
                deaf.start(verb, target, target.partition("=")[2].replace("%20", " "))
                deaf.read_head()
            mail.wait_for_waiters(10)
            roomy.send_signal(number)
            assert roomy.wait() == 0
    roomy.start()
    with Mail(("127.0.0.1", roomy.port)) as mail:
        for name in ("deaf tcp", "deaf unix", "deaf stream"):
            assert [message["attempts"] for message in mail.check(name)] == [2]


def test_a_second_signal_changes_nothing(daemon: DaemonProcess) -> None:
    """A second signal, and a third, change nothing."""
    with Mail(("127.0.0.1", daemon.port)) as mail, Mail(("127.0.0.1", daemon.port)) as watcher:
        watcher.start_watch("me")
        mail.wait_for_waiters(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            daemon.send_signal(number)
        assert watcher.read().status == 503
    assert daemon.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="changes the limit of another process")
def test_a_full_disk_does_not_keep_it_from_ending(daemon: DaemonProcess) -> None:
    """What cannot be written is not written; the end comes all the same."""
    with Mail(("127.0.0.1", daemon.port)) as mail:
        mail.send("a", "b")
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert mail.request("POST", "/v1/check-inbox?name=b", "b").status == 503
        assert daemon.stop() == 0
    daemon.start()
    with Mail(("127.0.0.1", daemon.port)) as mail:
        assert mail.bodies("b") == ["hello"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("file", ["mailbox.lock", "mailbox.db", "mailbox.db-wal", "mailbox.sock"])
def test_a_signal_during_the_start_ends_it(number: signal.Signals, file: str) -> None:
    """A start may be broken off at any point: no traceback, and the next one works."""
    process = DaemonProcess()
    child = process.spawn()
    while not (process.home / file).exists():
        assert child.poll() is None
    process.send_signal(number)
    assert child.wait(PATIENCE_SECONDS) in {0, 130, -number}
    process.start()
    process.close()
