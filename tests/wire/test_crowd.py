"""Thousands of connections, and no descriptors left."""

import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from claude_mailbox.daemon.http.descriptors import share
from support.daemon import DaemonProcess
from wire.conftest import address_of
from wire.connection import Connection
from wire.mail import Mail


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Raise this process's limit as far as it goes; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000 if hard == resource.RLIM_INFINITY else min(hard, 10_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_idle_connections(descriptors: int) -> None:
    """They cost memory, and nobody waits for them."""
    count = min(2000, descriptors // 2)
    with DaemonProcess() as daemon, ExitStack() as stack:
        place = address_of(daemon)
        idle = [stack.enter_context(Connection(place)) for _ in range(count)]
        # Most are silent, some have been used, some are in the middle of a request.
        for connection in idle[1::10]:
            assert connection.request("GET", "/health").status == 200
        for connection in idle[2::10]:
            connection.write(b"POST /v1/send HTTP/1.1\r\nHost: lo")
        mail = stack.enter_context(Mail(place))

        mail.send("sender", "me")

        assert mail.bodies("me") == ["hello"]
        # Those that were silent may begin.
        assert idle[0].request("GET", "/health").status == 200


def test_hundreds_of_watchers(descriptors: int) -> None:
    """Each message wakes one of them."""
    count = min(200, descriptors // 2)
    with DaemonProcess() as daemon, ExitStack() as stack:
        place = address_of(daemon)
        watchers = [stack.enter_context(Mail(place)) for _ in range(count)]
        for watcher in watchers:
            watcher.start_watch("me")
        mail = stack.enter_context(Mail(place))
        mail.wait_for_waiters(count)

        sent = [mail.send("sender", "me", str(number))["id"] for number in range(count)]

        assert sorted(watcher.read().json()["id"] for watcher in watchers) == sent
        assert mail.health()["waiters"] == 0


@pytest.fixture(params=[64, 256])
def short(request: pytest.FixtureRequest) -> Iterator[tuple[DaemonProcess, int]]:
    """A daemon with few descriptors, and how many clients may connect by TCP."""
    script = f'ulimit -n {request.param} && exec "$0" -m claude_mailbox "$@"'
    with DaemonProcess(command=["/bin/sh", "-c", script, sys.executable]) as daemon:
        with Mail(address_of(daemon)) as mail:
            while mail.health()["mcp"] != "ready":
                pass
        yield daemon, share(request.param, 2)
        assert "cannot accept" not in daemon.log()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
class TestFewDescriptors:
    def test_idle_connections_give_way(self, short: tuple[DaemonProcess, int]) -> None:
        """Newcomers are served, by TCP after a moment and on the Unix socket at once."""
        daemon, slots = short
        assert daemon.socket_path is not None
        with ExitStack() as stack:
            crowd = [stack.enter_context(Connection(address_of(daemon))) for _ in range(slots * 2)]
            for connection in crowd[::2]:
                connection.write(b"POST /v1/send HTTP/1.1\r\nHost: lo")
            own = stack.enter_context(Mail(daemon.socket_path))
            own.socket.settimeout(1)  # a hook is not patient
            own.send("sender", "me")
            newcomer = stack.enter_context(Mail(address_of(daemon)))

            assert newcomer.bodies("me") == ["hello"]

    def test_busy_connections_do_not(self, short: tuple[DaemonProcess, int]) -> None:
        """Newcomers get a 503 by TCP; the Unix socket is not concerned, nor is a session's bell."""
        daemon, slots = short
        assert daemon.socket_path is not None
        with ExitStack() as stack:
            own = stack.enter_context(Mail(daemon.socket_path))
            watchers = [stack.enter_context(Mail(address_of(daemon))) for _ in range(slots)]
            for number, watcher in enumerate(watchers, 1):
                watcher.start_watch("me")
                own.wait_for_waiters(number)
            newcomer = stack.enter_context(Mail(address_of(daemon)))

            newcomer.read().error(503, "overloaded")

            session = {"sessionId": "0123456789abcdef", "name": "session"}
            reply = own.request("POST", "/v1/session", content=session)
            bell = Path(reply.json()["bell"])
            before = bell.stat().st_mtime_ns
            own.send("sender", "session")
            while bell.stat().st_mtime_ns == before:
                pass
            own.send("sender", "me")
            assert watchers[0].read().json()["body"] == "hello"
            watchers[0].close()
            with Mail(address_of(daemon)) as another:
                assert another.peek("me")["pending"] == 0

    def test_a_burst_is_served(self, short: tuple[DaemonProcess, int]) -> None:
        """Those beyond the limit wait until the first ones are done; no mail is lost."""
        daemon, slots = short
        with ExitStack() as stack:
            crowd = [stack.enter_context(Mail(address_of(daemon))) for _ in range(slots * 3)]
            for number, mail in enumerate(crowd):
                mail.start("POST", "/v1/send", "a", content={"to": "me", "body": str(number)})
            for mail in crowd:
                assert mail.read().status == 200

        with Mail(address_of(daemon)) as mail:
            assert sorted(map(int, mail.bodies("me"))) == list(range(slots * 3))
