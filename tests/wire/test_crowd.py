"""Thousands of connections, and no descriptors left."""

import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

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


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
def test_no_descriptors_left() -> None:
    """Who is connected is served; who is not waits until somebody leaves; no mail is lost.

    It also takes that the daemon lets go of a connection as soon as its client has left.
    """
    script = 'ulimit -n 64 && exec "$0" -m claude_mailbox "$@"'
    command = ["/bin/sh", "-c", script, sys.executable]
    with DaemonProcess(command=command) as daemon, ExitStack() as stack:
        place = address_of(daemon)
        mail = stack.enter_context(Mail(place))
        while mail.health()["mcp"] != "ready":
            pass
        session = {"sessionId": "0123456789abcdef", "name": "me"}
        assert mail.request("POST", "/v1/session", content=session).status == 200
        crowd = [stack.enter_context(Connection(place)) for _ in range(100)]
        for connection in crowd:
            connection.start("GET", "/health")
        for connection in crowd[:20]:
            assert connection.read().status == 200
        # The last ones of the crowd are not accepted yet; we are, and go on. The session's bell
        # cannot ring meanwhile.
        for number in range(5):
            mail.send("sender", "me", str(number))
        assert mail.watch("me", lease=60) is not None
        for connection in crowd[:60]:
            connection.close()
        for connection in crowd[60:]:
            assert connection.read().status == 200
            connection.close()

        with Mail(place) as newcomer:
            assert newcomer.bodies("me") == ["1", "2", "3", "4"]
        assert daemon.log().count("cannot accept") < 10
