"""Thousands of connections, and no descriptors left."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from claude_mailbox.daemon.http.descriptors import share
from daemon.mcp.conftest import wait_until_ready
from support.daemon import DaemonProcess
from wire.conftest import address_of
from wire.connection import Connection
from wire.mail import Mail

# Watches on so many connections to a Unix socket, and prints what the last one is told.
_GREEDY = """
import socket, sys
request = b"GET /v1/watch?name=me&timeout=60 HTTP/1.1\\r\\nHost: localhost\\r\\nX-Mailbox: me\\r\\n\\r\\n"
held = []
for _ in range(int(sys.argv[2])):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    held.append(connection)
    try:
        connection.sendall(request)
    except BrokenPipeError:
        pass
print(connection.recv(1000)[:12].decode(), flush=True)
sys.stdin.read()
"""
# Connects so often by TCP, and says nothing.
_STRANGERS = """
import encodings.idna, os, socket, sys
os.setuid(65534)
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print("connected", flush=True)
sys.stdin.read()
"""
_IS_ROOT = sys.platform != "win32" and os.geteuid() == 0


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Raise this process's limit as far as it goes; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000 if hard == resource.RLIM_INFINITY else min(hard, 10_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_idle_connections_delay_nobody(descriptors: int) -> None:
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


def test_of_hundreds_of_watchers_each_message_wakes_one(descriptors: int) -> None:
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
    with DaemonProcess(max_descriptors=request.param) as daemon:
        wait_until_ready(daemon)
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

    def test_busy_connections_do_not_give_way(self, short: tuple[DaemonProcess, int]) -> None:
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

    def test_one_process_cannot_have_the_unix_socket_to_itself(
        self, short: tuple[DaemonProcess, int]
    ) -> None:
        """Beyond its half it gets a 503; others are served at once, whatever it does."""
        daemon, slots = short
        assert daemon.socket_path is not None
        with subprocess.Popen(
            [sys.executable, "-c", _GREEDY, daemon.socket_path, str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as greedy:
            assert greedy.stdout is not None
            assert greedy.stdout.readline() == "HTTP/1.1 503\n"
            with Mail(daemon.socket_path) as own:
                own.socket.settimeout(1)  # a hook is not patient
                own.send("sender", "other")
                assert own.bodies("other") == ["hello"]
                own.wait_for_waiters(slots // 2)
            greedy.kill()

    @pytest.mark.skipif(not _IS_ROOT, reason="only root can act as another user")
    def test_another_user_cannot_have_the_port_to_itself(
        self, short: tuple[DaemonProcess, int]
    ) -> None:
        """It is refused everything, but may be slow to say what it wants."""
        daemon, slots = short
        with subprocess.Popen(
            [sys.executable, "-c", _STRANGERS, str(daemon.port), str(slots * 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as others:
            assert others.stdout is not None
            assert others.stdout.readline() == "connected\n"
            with ExitStack() as stack:
                own = [stack.enter_context(Mail(address_of(daemon))) for _ in range(slots // 2)]
                for number, watcher in enumerate(own, 1):
                    watcher.start_watch("me")
                    with Mail(daemon.socket_path or "") as mail:
                        mail.wait_for_waiters(number)
            others.kill()

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
