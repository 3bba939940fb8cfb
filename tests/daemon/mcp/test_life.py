"""``/mcp`` over the daemon's life: before the SDK is imported, and while it stops."""

import signal
from collections.abc import Iterator

import pytest

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from support.daemon import COMMAND, DaemonProcess
from wire.connection import Address
from wire.mail import Mail

eras = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


@pytest.fixture
def daemon() -> Iterator[DaemonProcess]:
    """A daemon of the test's own."""
    with DaemonProcess() as process:
        yield process


@pytest.fixture
def without_sdk() -> Iterator[DaemonProcess]:
    """A daemon that was started a moment ago, and has not imported the SDK yet."""
    with DaemonProcess(command=COMMAND) as process:
        yield process


def places(daemon: DaemonProcess) -> list[Address]:
    """Return the daemon's addresses."""
    found: list[Address] = [("127.0.0.1", daemon.port)]
    return found if daemon.socket_path is None else [*found, daemon.socket_path]


def test_calls_before_the_sdk_is_imported_are_answered(without_sdk: DaemonProcess) -> None:
    """A client that called before a restart goes on at once, and nothing is lost."""
    calls = [(Rpc(place), era) for place in places(without_sdk) for era in (HANDSHAKE, MODERN)]
    for number, (rpc, era) in enumerate(calls):
        arguments = {"from": "early", "to": "me", "body": str(number)}
        rpc.begin_call("send", arguments, era=era)
    with Mail(("127.0.0.1", without_sdk.port)) as mail:
        mail.send("rest", "other")
        for rpc, _ in calls:
            assert rpc.answer()["state"] == "queued"
            rpc.close()

        assert sorted(mail.bodies("me")) == ["0", "1", "2", "3"]


@eras
def test_other_requests_wait_for_the_sdk(without_sdk: DaemonProcess, era: str) -> None:
    """Nobody is sent away."""
    for place in places(without_sdk):
        with Rpc(place) as rpc, Mail(place) as mail:
            assert rpc.ask("tools/list", era=era)["tools"]

            assert mail.health()["mcp"] == "ready"


def test_a_client_may_leave_while_it_waits_for_the_sdk(without_sdk: DaemonProcess) -> None:
    """Its call is not carried out behind its back, or its mail is not lost."""
    with Mail(("127.0.0.1", without_sdk.port)) as mail:
        mail.send("sender", "me")
        rpc = Rpc(("127.0.0.1", without_sdk.port))
        # An argument that it has not makes this the SDK's, which comes later.
        rpc.begin_call("check_inbox", {"name": "me"}, Accept="Application/JSON")
        rpc.close()
        wait_until_ready(without_sdk)

        message = mail.watch("me", timeout=60)

        assert message is not None
        assert message["body"] == "hello"


def test_a_stop_while_a_call_waits_for_the_sdk_is_orderly(without_sdk: DaemonProcess) -> None:
    """503, or an answer when the import was quicker; and an end in order.

    A request that the daemon has not read when it stops gets no answer at all.
    """
    with Rpc(("127.0.0.1", without_sdk.port)) as rpc:
        rpc.begin("tools/list")
        without_sdk.send_signal(signal.SIGTERM)

        answer = rpc.read_to_end()

    assert answer == b"" or answer.split(b" ")[1] in {b"200", b"503"}
    assert without_sdk.wait() == 0


@eras
def test_a_watch_ends_when_the_daemon_stops(daemon: DaemonProcess, era: str) -> None:
    """With a tool error that says so, or 503: never with silence."""
    wait_until_ready(daemon)
    with Mail(("127.0.0.1", daemon.port)) as mail, Rpc(("127.0.0.1", daemon.port)) as rpc:
        rpc.begin_call("watch", {"name": "me", "timeout": 50}, era=era)
        mail.wait_for_waiters(1)
        daemon.send_signal(signal.SIGTERM)

        reply = rpc.message()

    assert reply.status in {200, 503}
    if reply.status == 200:
        result = reply.json()["result"]
        assert result["isError"] is True
        assert "shutting down" in result["content"][0]["text"]
    assert daemon.wait() == 0


@eras
def test_calls_during_the_stop_get_503(daemon: DaemonProcess, era: str) -> None:
    """503 with ``Retry-After``; never 404, which would make clients forget the server."""
    wait_until_ready(daemon)
    place = ("127.0.0.1", daemon.port)
    with Mail(place) as watcher, Rpc(place) as rpc, Mail(place) as mail:
        # A call whose last byte is still to come keeps its connection open.
        rpc_bytes: list[bytes] = []
        write, rpc.write = rpc.write, rpc_bytes.append  # type: ignore[method-assign]
        rpc.begin_call("send", {"from": "late", "to": "me", "body": "x"}, era=era)
        (data,) = rpc_bytes
        write(data[:-1])
        watcher.start_watch("me")
        mail.wait_for_waiters(1)
        daemon.send_signal(signal.SIGTERM)
        assert watcher.read().status == 503

        write(data[-1:])
        reply = rpc.message()

    reply.error(503, "shutting-down")
    assert int(reply.headers["retry-after"]) > 0
    assert daemon.wait() == 0
