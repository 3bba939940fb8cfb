"""Ends and new beginnings of the daemon: nothing is lost, and nothing that was acked comes back."""

import signal
from collections.abc import Iterator

import pytest

from support.daemon import DaemonProcess
from wire.conftest import address_of
from wire.connection import Address, ClosedByDaemon, Connection
from wire.mail import Mail

LARGE = 6_000_000


@pytest.fixture
def daemon() -> Iterator[DaemonProcess]:
    """A daemon of the test's own."""
    with DaemonProcess({"maxBodyBytes": LARGE}) as process:
        yield process


def tcp(daemon: DaemonProcess) -> Mail:
    """Return a new connection."""
    return Mail(("127.0.0.1", daemon.port))


class TestKill:
    """``kill -9``: the process has no last words."""

    def test_mail_survives_a_kill(self, daemon: DaemonProcess) -> None:
        """Everything whose send was answered, in order."""
        with tcp(daemon) as mail:
            for number in range(50):
                mail.send("sender", "me", str(number))
        daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            assert mail.bodies("me") == [str(number) for number in range(50)]

    def test_a_watcher_gets_its_mail_after_a_kill(self, daemon: DaemonProcess) -> None:
        """Its connection breaks; after the restart it watches again and gets what comes."""
        with tcp(daemon) as mail, tcp(daemon) as watcher:
            watcher.start_watch("me")
            mail.wait_for_waiters(1)
            daemon.kill()
            with pytest.raises(ClosedByDaemon):
                watcher.read()
        daemon.restart(same_port=True)
        with tcp(daemon) as mail, tcp(daemon) as watcher:
            watcher.start_watch("me")
            mail.wait_for_waiters(1)
            mail.send("sender", "me")

            assert watcher.read().json()["body"] == "hello"

    def test_taken_mail_stays_taken_or_is_redelivered(self, daemon: DaemonProcess) -> None:
        """A response that was read whole is settled, or comes again with two attempts.

        The daemon settles just after the last byte is out, so it may die in between; then the
        message comes again rather than never. A request on the same connection comes after the
        settlement.
        """
        with tcp(daemon) as mail:
            mail.send("sender", "me", "taken")
            assert mail.bodies("me") == ["taken"]
            mail.health()
        daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            assert mail.bodies("me") == []

    def test_acks_and_leases_survive_a_kill(self, daemon: DaemonProcess) -> None:
        """An ack that was answered holds; an explicit lease lives on, and can be acked."""
        with tcp(daemon) as mail:
            for body in ("acked", "leased", "released", "waiting"):
                mail.send("sender", "me", body)
            tokens = [message["lease"] for message in mail.check("me", lease=3600, limit=3)]
            mail.outcome("ack", "me", tokens[0])
            mail.outcome("release", "me", tokens[2])
        daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            messages = mail.check("me")
            assert [(m["body"], m["attempts"]) for m in messages] == [
                ("released", 2),
                ("waiting", 1),
            ]
            assert mail.outcome("ack", "me", *tokens) == {"done": tokens[:2], "lost": tokens[2:]}

    def test_a_lease_expires_while_the_daemon_is_down(self, daemon: DaemonProcess) -> None:
        """A watcher after the restart gets the message at the lease's end."""
        with tcp(daemon) as mail:
            mail.send("sender", "me")
            mail.check("me", lease=1)
        daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            message = mail.watch("me", timeout=60)

            assert message is not None
            assert message["attempts"] == 2

    def test_a_half_sent_response_comes_again(self, daemon: DaemonProcess) -> None:
        """What was only half received comes again."""
        place = address_of(daemon)
        with Mail(place) as mail, Connection(place, receive_buffer=4096) as reader:
            mail.send("sender", "me", "x" * LARGE)
            reader.start("POST", "/v1/check-inbox?name=me", "me")
            reader.read_head()
            daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            assert [message["attempts"] for message in mail.check("me")] == [2]

    def test_unacked_messages_of_a_stream_come_again(self, daemon: DaemonProcess) -> None:
        """``follow``: what was not acked comes again, what was does not."""
        with tcp(daemon) as mail, tcp(daemon) as reader:
            for number in range(3):
                mail.send("sender", "me", str(number))
            reader.start("GET", "/v1/follow?name=me", "me")
            reader.read_head()
            (first, *_) = [line for line in reader.read_chunk().split(b"\n") if line]
            token = first.partition(b'"lease":"')[2].partition(b'"')[0].decode()
            mail.outcome("ack", "me", token)
            daemon.kill()
        daemon.start()
        with tcp(daemon) as mail:
            messages = mail.check("me")
            assert [(m["body"], m["attempts"]) for m in messages] == [("1", 2), ("2", 2)]


class TestStop:
    """SIGTERM and Ctrl-C: an end in order."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_stop_answers_watchers_with_503(
        self, daemon: DaemonProcess, number: signal.Signals
    ) -> None:
        """503 with ``Retry-After``; the exit code is 0, and the lock and the socket are free."""
        place = address_of(daemon)
        with Mail(place) as mail, Mail(place) as watcher:
            watcher.start_watch("me")
            mail.wait_for_waiters(1)
            daemon.send_signal(number)

            reply = watcher.read()

        reply.error(503, "shutting-down")
        assert int(reply.headers["retry-after"]) > 0
        assert daemon.wait() == 0
        daemon.start()

    def test_a_stop_ends_streams_in_order(self, daemon: DaemonProcess) -> None:
        """With their last chunk, not with a broken connection."""
        place = address_of(daemon)
        with Mail(place) as mail, Mail(place) as reader:
            reader.start("GET", "/v1/follow?name=me", "me")
            head = reader.read_head()
            first = reader.read_chunk()
            mail.wait_for_waiters(1)
            daemon.send_signal(signal.SIGTERM)

            rest = b"".join(iter(reader.read_chunk, b""))

        assert head.startswith(b"HTTP/1.1 200")
        assert (first + rest).strip() == b""
        assert daemon.wait() == 0

    def test_a_stop_lets_requests_finish(self, daemon: DaemonProcess) -> None:
        """A send whose body arrives late is still carried out, or refused: it is never unclear."""
        place = address_of(daemon)
        data = b'{"to":"me","body":"late"}'
        with Mail(place) as mail, Mail(place) as watcher:
            mail.write(
                b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: sender\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(data)
                + data[:5]
            )
            watcher.start_watch("other")
            with tcp(daemon) as probe:
                probe.wait_for_waiters(1)
            daemon.send_signal(signal.SIGTERM)
            assert watcher.read().status == 503

            mail.write(data[5:])
            reply = mail.read()

        assert reply.status in {200, 503}
        assert daemon.wait() == 0
        daemon.start()
        with tcp(daemon) as mail:
            assert mail.bodies("me") == (["late"] if reply.status == 200 else [])

    def test_a_client_that_takes_no_bytes_does_not_delay_a_stop(
        self, daemon: DaemonProcess
    ) -> None:
        """The daemon ends all the same, and the mail that it was sending comes again."""
        place = ("127.0.0.1", daemon.port)
        with Mail(place) as mail, Connection(place, receive_buffer=4096) as deaf:
            mail.send("sender", "me", "x" * LARGE)
            deaf.start("POST", "/v1/check-inbox?name=me", "me")
            deaf.read_head()

            assert daemon.stop() == 0
        daemon.start()
        with tcp(daemon) as mail:
            assert [message["attempts"] for message in mail.check("me")] == [2]

    def test_idle_connections_do_not_delay_a_stop(self, daemon: DaemonProcess) -> None:
        """On either transport, after and before a first request."""
        assert daemon.socket_path is not None
        places: list[Address] = [("127.0.0.1", daemon.port), daemon.socket_path]
        connections = [Mail(place) for place in places for _ in range(5)]
        for mail in connections[::2]:
            mail.health()

        assert daemon.stop() == 0
        for mail in connections:
            mail.close()

    def test_presence_survives_a_stop(self, daemon: DaemonProcess) -> None:
        """Though it is not written at every request."""
        with tcp(daemon) as mail:
            mail.check("me")
            mail.send("sender", "me")
            before = mail.rows()
            mail.check("me")
        daemon.stop()
        daemon.start()
        with tcp(daemon) as mail:
            assert mail.rows()["me"]["lastSeenAt"] >= before["me"]["lastSeenAt"]

    def test_mail_survives_many_restarts(self, daemon: DaemonProcess) -> None:
        """Mail that waits is patient."""
        for number in range(3):
            with tcp(daemon) as mail:
                mail.send("sender", "me", str(number))
            daemon.stop()
            daemon.start()
        with tcp(daemon) as mail:
            assert mail.bodies("me") == ["0", "1", "2"]


class TestRenameMeanwhile:
    """A rename while somebody watches."""

    @pytest.mark.parametrize("watchers", [1, 5])
    def test_all_watchers_are_told_of_a_rename(self, daemon: DaemonProcess, watchers: int) -> None:
        """409 with the new name, under which the mail is."""
        with tcp(daemon) as mail:
            lines = [tcp(daemon) for _ in range(watchers)]
            for line in lines:
                line.start_watch("old")
            mail.wait_for_waiters(watchers)

            mail.rename("old", "new")

            for line in lines:
                reply = line.read()
                reply.error(409, "renamed")
                assert reply.json()["to"] == "new"
            mail.wait_for_waiters(0)
            # The same connections go on under the new name.
            lines[0].start_watch("new")
            mail.wait_for_waiters(1)
            assert mail.send("sender", "old")["recipient"]["watching"] is True
            assert lines[0].read().json()["body"] == "hello"
            for line in lines:
                line.close()
