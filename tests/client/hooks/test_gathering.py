"""``check --hook --wake`` gives a burst of mail a moment to end, and a single message none."""

import json
import signal
import threading
from datetime import UTC, datetime, timedelta

from client.server import Peer, Server
from support.commandline import CommandLine
from support.daemon import PATIENCE_SECONDS


def message(number: int, *, age: float = 0.0) -> dict[str, object]:
    """Return a leased message that was sent *age* seconds ago."""
    sent_at = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "id": number,
        "from": "peer",
        "body": f"message {number};",
        "sentAt": sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "attempts": 1,
        "lease": f"{number}-token",
    }


class Daemon:
    """Answers each claim with the next of these messages, which were sent *age* seconds before.

    Attributes:
        claims: how many there were.
        released: the leases that were released.
    """

    def __init__(self, *numbers: list[int], age: float = 0.0) -> None:
        self.claims = 0
        self.released: list[str] = []
        self._numbers = list(numbers)
        self._age = age

    def __call__(self, peer: Peer) -> None:
        while request := peer.read():
            if request.startswith(b"POST /v1/check-inbox"):
                self.claims += 1
                numbers = self._numbers.pop(0) if self._numbers else []
                claimed = [message(number, age=self._age) for number in numbers]
                peer.respond(json.dumps(claimed).encode())
            else:
                leases = json.loads(request.partition(b"\r\n\r\n")[2])["leases"]
                if request.startswith(b"POST /v1/release"):
                    self.released += leases
                peer.respond(json.dumps({"done": leases, "lost": []}).encode())


def wake(shared: CommandLine, server: Server) -> str:
    """Run the hook, and return what it shows the model."""
    address = ("--url", str(server.address))
    done = shared.run("check", "--hook", "--wake", "--name", "reader", *address)
    assert done.returncode == 2
    return done.stderr


def test_mail_that_comes_within_a_moment_is_shown_with_the_first(shared: CommandLine) -> None:
    """Until nothing came for a moment."""
    daemon = Daemon([1, 2], [3], [])
    with Server(daemon) as server:
        shown = wake(shared, server)
    assert [shown.count(f"message {number};") for number in (1, 2, 3)] == [1, 1, 1]
    assert shown.startswith("[Claude-Mailbox] 3 messages")


def test_a_message_that_is_older_is_shown_at_once(shared: CommandLine) -> None:
    """The mailbox is not looked into again."""
    daemon = Daemon([1], [2], age=0.5)
    with Server(daemon) as server:
        shown = wake(shared, server)
    assert "message 1;" in shown
    assert daemon.claims == 1


def test_a_clock_that_is_behind_the_daemon_delays_nothing(shared: CommandLine) -> None:
    """The daemon may run on another machine."""
    daemon = Daemon([1], [2], age=-60)
    with Server(daemon) as server:
        wake(shared, server)
    assert daemon.claims == 1


def test_mail_without_end_is_shown_after_a_while(shared: CommandLine) -> None:
    """Each look finds a message that was sent a moment ago."""
    daemon = Daemon(*[[number] for number in range(1, 50)])
    with Server(daemon) as server:
        shown = wake(shared, server)
    assert "message 2;" in shown
    assert daemon.claims < 10


def test_a_daemon_that_goes_away_meanwhile_leaves_what_was_taken(shared: CommandLine) -> None:
    """It is shown; and not confirmed, so it comes again."""

    def only_once(peer: Peer) -> None:
        peer.read()
        peer.respond(json.dumps([message(1)]).encode())

    with Server(only_once) as server:
        shown = wake(shared, server)
    assert "message 1;" in shown


def test_a_signal_meanwhile_puts_back_what_was_taken(shared: CommandLine) -> None:
    """The client ends its hooks when it ends."""
    is_asking_again = threading.Event()

    def first_connection(peer: Peer) -> None:
        peer.read()
        peer.respond(json.dumps([message(1)]).encode())
        peer.read()
        is_asking_again.set()
        peer.await_end()

    with Server(first_connection, daemon := Daemon()) as server:
        address = ("--url", str(server.address))
        child = shared.spawn("check", "--hook", "--wake", "--name", "reader", *address)
        assert is_asking_again.wait(PATIENCE_SECONDS)
        child.send_signal(signal.SIGTERM)
        assert child.communicate() == ("", "")
        assert child.returncode == 0
    assert daemon.released == ["1-token"]
