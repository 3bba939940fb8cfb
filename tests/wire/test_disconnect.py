"""Clients that leave: before, during and after their turn, by close, half-close and reset.

What they were handed and did not get comes again, in its place and with ``attempts`` above 1;
what waits in line behind them goes on.
"""

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh, address_of, create_daemon
from wire.connection import Address, Connection, path
from wire.mail import Mail

TRANSPORTS = ("tcp", "tls")
AHEAD = "Hypercorn reads nothing behind a request that it has not answered"

Leave = Callable[[Connection], None]
every_way = pytest.mark.parametrize(
    "leave",
    [
        pytest.param(Connection.close, id="close"),
        pytest.param(Connection.close_half, id="half-close"),
        pytest.param(Connection.reset, id="reset"),
    ],
)
# More than the kernel takes on its own, so that the daemon is still sending.
LARGE = {"tcp": 6_000_000, "unix": 1_000_000}


def large(place: Address) -> str:
    """Return a body that does not fit into the kernel's buffers."""
    return "x" * LARGE["unix" if isinstance(place, str) else "tcp"]


class SlowConnection(Connection):
    """A connection that the kernel takes little in for ahead of its reader."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, receive_buffer=4096)


class TestBeforeItsTurn:
    """The watcher leaves while there is no mail."""

    @every_way
    def test_if_a_watcher_leaves_the_next_one_gets_the_mail(
        self, connect: Connect, fresh: Fresh, leave: Leave
    ) -> None:
        """Even when the message is sent in the very moment after."""
        name = fresh("me")
        mail, second = connect(), connect()
        for number in range(10):
            first = connect()
            first.start_watch(name)
            mail.wait_for_waiters(1)
            second.start_watch(name)
            mail.wait_for_waiters(2)
            leave(first)

            mail.send("sender", name, str(number))

            message = second.read().json()
            assert message["body"] == str(number)
            mail.wait_for_waiters(0)

    @every_way
    def test_if_nobody_else_watches_the_message_waits(
        self, connect: Connect, fresh: Fresh, leave: Leave
    ) -> None:
        """The message stays for whoever asks next."""
        name = fresh("me")
        mail = connect()
        for number in range(10):
            watcher = connect()
            watcher.start_watch(name)
            mail.wait_for_waiters(1)
            leave(watcher)

            mail.send("sender", name, str(number))

            mail.wait_for_waiters(0)
            message = mail.watch(name, timeout=60)
            assert message is not None
            assert message["body"] == str(number)

    @every_way
    def test_the_other_watchers_keep_their_order(
        self, connect: Connect, fresh: Fresh, leave: Leave
    ) -> None:
        """Those before and behind keep their order."""
        name = fresh("me")
        mail = connect()
        watchers = []
        for number in range(1, 6):
            watchers.append(connect())
            watchers[-1].start_watch(name)
            mail.wait_for_waiters(number)
        leave(watchers[1])
        leave(watchers[3])
        mail.wait_for_waiters(3)

        for number, watcher in enumerate((watchers[0], watchers[2], watchers[4])):
            mail.send("sender", name, str(number))
            assert watcher.read().json()["body"] == str(number)

    @every_way
    def test_a_watcher_with_a_pipelined_request_may_leave(
        self, transport: str, connect: Connect, fresh: Fresh, leave: Leave
    ) -> None:
        """The daemon has more to read than that the client has gone."""
        if transport == "tls":
            pytest.skip(AHEAD)
        name = fresh("me")
        mail = connect()
        for number in range(5):
            watcher = connect()
            watcher.start_watch(name)
            watcher.start("GET", "/health")
            mail.wait_for_waiters(1)
            leave(watcher)

            mail.send("sender", name, str(number))

            mail.wait_for_waiters(0)
            assert mail.bodies(name) == [str(number)]

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell")
    @every_way
    @pytest.mark.parametrize("ahead", [30, 150, 3000])
    def test_a_watcher_with_many_pipelined_requests_may_leave(
        self, transport: str, connect: Connect, fresh: Fresh, leave: Leave, ahead: int
    ) -> None:
        """More than the daemon takes in before it has answered."""
        if transport == "tls":
            pytest.skip(AHEAD)
        name = fresh("me")
        mail, watcher = connect(), connect()
        watcher.start_watch(name)
        watcher.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * ahead)
        mail.wait_for_waiters(1)
        leave(watcher)

        mail.wait_for_waiters(0)
        mail.send("sender", name)

        assert mail.bodies(name) == ["hello"]

    @every_way
    @pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
    def test_a_watcher_that_asked_for_an_upgrade_may_leave(
        self, transport: str, connect: Connect, fresh: Fresh, leave: Leave, upgrade: str
    ) -> None:
        """As curl does for HTTP/2: it is served as if it had not asked."""
        if transport == "tls" and upgrade == "websocket":
            pytest.skip("Hypercorn speaks WebSocket, which the guard refuses")
        name = fresh("me")
        mail, watcher = connect(), connect()
        headers: dict[str, str | bytes] = {"Upgrade": upgrade, "Connection": "Upgrade"}
        watcher.start("GET", path("/v1/watch", name=name, timeout=60), name, headers=headers)
        mail.wait_for_waiters(1)
        leave(watcher)

        mail.send("sender", name)

        mail.wait_for_waiters(0)
        assert mail.bodies(name) == ["hello"]

    @pytest.mark.skipif(sys.platform == "win32", reason="stops the daemon with a signal")
    @every_way
    @pytest.mark.parametrize("verb", ["watch", "check-inbox"])
    def test_a_client_that_leaves_before_its_request_is_read_takes_no_mail(
        self, connect: Connect, daemon: DaemonProcess, fresh: Fresh, leave: Leave, verb: str
    ) -> None:
        """The daemon learns of the request and of the good-bye at once, and mail waits already."""
        name = fresh("me")
        mail = connect()
        method = "GET" if verb == "watch" else "POST"
        for number in range(10):
            mail.send("sender", name, str(number))
            hasty = connect()
            daemon.send_signal(signal.SIGSTOP)
            hasty.start(method, path(f"/v1/{verb}", name=name), name)
            leave(hasty)
            daemon.send_signal(signal.SIGCONT)

            message = mail.watch(name, timeout=60)

            assert message is not None
            assert message["body"] == str(number)


@pytest.fixture(scope="module")
def roomy(transport: str) -> Iterator[DaemonProcess]:
    """A daemon whose messages are larger than the buffers between it and its clients."""
    with create_daemon(transport, {"maxBodyBytes": max(LARGE.values())}) as process:
        yield process


@pytest.fixture
def place(roomy: DaemonProcess) -> Address:
    """Its address."""
    return address_of(roomy)


class TestDuringItsTurn:
    """The client has a part of the response, and leaves."""

    @every_way
    @pytest.mark.parametrize("verb", ["watch", "check-inbox"])
    def test_a_message_that_was_sent_in_part_comes_again(
        self, place: Address, fresh: Fresh, leave: Leave, verb: str
    ) -> None:
        """To the next in line, and with two attempts."""
        name = fresh("me")
        method = "GET" if verb == "watch" else "POST"
        with Mail(place) as mail, SlowConnection(place) as first, Mail(place) as second:
            body = large(place)
            receipt = mail.send("sender", name, body)
            first.start(method, path(f"/v1/{verb}", name=name), name)
            head = first.read_head()
            second.start_watch(name)
            mail.wait_for_waiters(1)

            leave(first)
            if leave is Connection.close_half:
                # The daemon takes it for gone, and so must not give it the end.
                length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                assert len(first.read_to_end()) < length

            message = second.read().json()
            assert (message["id"], message["attempts"]) == (receipt["id"], 2)
            assert message["body"] == body

    def test_an_explicit_lease_is_released(self, place: Address, fresh: Fresh) -> None:
        """The client never learned the token, so nobody could end the lease."""
        name = fresh("me")
        with Mail(place) as mail, SlowConnection(place) as first, Mail(place) as second:
            mail.send("sender", name, large(place))
            first.start("GET", path("/v1/watch", name=name, lease=3600), name)
            first.read_head()
            second.start_watch(name)
            mail.wait_for_waiters(1)

            first.reset()

            assert second.read().json()["attempts"] == 2

    def test_all_messages_of_the_response_come_again(self, place: Address, fresh: Fresh) -> None:
        """All its messages come again, in their old places."""
        name = fresh("me")
        with Mail(place) as mail, SlowConnection(place) as first:
            for number in range(3):
                mail.send("sender", name, str(number) + large(place)[::3])
            first.start("POST", path("/v1/check-inbox", name=name), name)
            first.read_head()
            mail.send("sender", name, "3")
            first.reset()
            while mail.peek(name)["pending"] < 4:
                pass

            messages = mail.check(name)

            assert [message["body"][0] for message in messages] == ["0", "1", "2", "3"]
            assert [message["attempts"] for message in messages] == [2, 2, 2, 1]


class TestAfterItsTurn:
    """The client has the whole response, and leaves: the message is its own."""

    @every_way
    @pytest.mark.parametrize("verb", ["watch", "check-inbox"])
    def test_a_message_that_was_sent_whole_never_comes_again(
        self, connect: Connect, fresh: Fresh, leave: Leave, verb: str
    ) -> None:
        """However soon it goes."""
        name = fresh("me")
        mail = connect()
        method = "GET" if verb == "watch" else "POST"
        for number in range(20):
            mail.send("sender", name, str(number))
            first = connect()
            reply = first.request(method, f"/v1/{verb}?name={name}&timeout=60", name)
            leave(first)

            assert f'"body":"{number}"'.encode() in reply.body
            assert mail.bodies(name) == []

    def test_an_explicit_lease_stays(self, connect: Connect, fresh: Fresh) -> None:
        """It is bound to time, not to the connection."""
        name = fresh("me")
        mail, first = connect(), connect()
        mail.send("sender", name)
        message = first.watch(name, lease=60)
        first.reset()

        assert message is not None
        assert mail.bodies(name) == []
        assert mail.outcome("ack", name, message["lease"])["done"] == [message["lease"]]


class TestInTheMiddleOfEverything:
    """Watchers that come and go while mail pours in."""

    @pytest.mark.parametrize("way", [Connection.close, Connection.reset], ids=["close", "reset"])
    def test_among_leaving_watchers_each_message_arrives_or_waits(
        self, connect: Connect, fresh: Fresh, way: Leave
    ) -> None:
        """One watcher stays, others leave without reading; nothing is missing at the end.

        A watcher that leaves may have been handed a message just before, all of it: then that one
        is gone with it, as it would be with a client that crashes after reading. So those that
        leave do so before the message is sent.
        """
        name = fresh("me")
        mail = connect()
        received: list[str] = []
        stayer = connect()
        for number in range(60):
            leavers = [connect() for _ in range(number % 3)]
            for leaver in leavers:
                leaver.start_watch(name)
            stayer.start_watch(name)
            for leaver in leavers:
                way(leaver)
            mail.send("sender", name, str(number))
            received.append(stayer.read().json()["body"])

        assert received == [str(number) for number in range(60)]
        mail.wait_for_waiters(0)
        assert mail.peek(name)["pending"] == 0
