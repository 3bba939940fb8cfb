"""``watch --block``: it prints one message and ends, and never loses one."""

import json
import os
import signal

import pytest

from claude_mailbox.client.reach.api import Identity
from support.commandline import CommandLine, until


class TestBlock:
    def test_prints_one_message_and_leaves_the_rest(self, shared: CommandLine) -> None:
        """Exit code 0, exactly one line, first in, first out."""
        for body in ("first", "second"):
            shared.send("w1", body)
        done = shared.run("watch", "--block", "--name", "w1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "[Claude-Mailbox] Mail from peer: first\n"
        assert shared.bodies("w1") == ["second"]

    def test_wakes_when_mail_comes(self, shared: CommandLine) -> None:
        """Also without --block, which is the default."""
        for arguments in (["--block"], []):
            child = shared.spawn("watch", *arguments, "--name", "w2")
            shared.wait_until_watched("w2")
            shared.send("w2", "wake up")
            output, _ = child.communicate()
            assert (child.returncode, output) == (0, "[Claude-Mailbox] Mail from peer: wake up\n")

    def test_prints_nothing_when_the_time_is_up(self, shared: CommandLine) -> None:
        """The exit code is 3."""
        done = shared.run("watch", "--block", "--name", "w3", "--timeout", "0.05")
        assert (done.returncode, done.stdout, done.stderr) == (3, "", "")

    def test_prints_that_the_mailbox_was_renamed(self, shared: CommandLine) -> None:
        """During the wait, and at once if it was renamed before."""
        shared.bodies("w4")
        child = shared.spawn("watch", "--block", "--name", "w4")
        shared.wait_until_watched("w4")
        shared.run("rename", "--name", "w4", "--to", "w4-new")
        output, _ = child.communicate()
        assert (child.returncode, output) == (0, "[Claude-Mailbox] Mailbox renamed to 'w4-new'\n")
        done = shared.run("watch", "--block", "--name", "w4", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"renamed": "w4-new"})

    def test_json_is_the_message_without_its_lease(self, shared: CommandLine) -> None:
        """One document."""
        shared.send("w5", "a\nb")
        document = json.loads(shared.run("watch", "--name", "w5", "--json").stdout)
        assert (document["from"], document["body"], document["attempts"]) == ("peer", "a\nb", 1)
        assert "lease" not in document

    def test_says_that_a_message_is_redelivered(self, shared: CommandLine) -> None:
        """It was delivered before, but never acked."""
        shared.send("w6", "again")
        [delivery] = shared.claim("w6")
        with shared.client() as daemon:
            daemon.release([delivery.lease], Identity("w6"))
        done = shared.run("watch", "--block", "--name", "w6")
        assert done.stdout == "[Claude-Mailbox] Mail from peer (redelivered): again\n"

    def test_what_was_printed_is_acked(self, shared: CommandLine) -> None:
        """Nothing is pending, so the mailbox can be deleted."""
        shared.send("w7", "x")
        shared.run("watch", "--block", "--name", "w7")
        with shared.client() as daemon:
            deleted = daemon.call(
                "DELETE", "/v1/mailbox", identity=Identity("w7"), query=("name=w7",)
            )
        assert deleted.value == {"deleted": True}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--timeout", "-1"], "0 or more"),
            (["--timeout", "nan"], "0 or more"),
            (["--timeout", "inf"], "0 or more"),
            (["--timeout", "soon"], "not a valid float"),
            (["--block", "--follow"], "'--follow' runs until you end it"),
            (["--follow", "--timeout", "5"], "'--follow' runs until you end it"),
        ],
    )
    def test_wrong_options_are_one_sentence(
        self, shared: CommandLine, arguments: list[str], words: str
    ) -> None:
        """The exit code is 1."""
        done = shared.run("watch", "--name", "a", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr

    def test_the_end_of_the_daemon_is_exit_code_2(self, own: CommandLine) -> None:
        """Whether it was stopped or killed."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            child = own.spawn("watch", "--block", "--name", "w8")
            own.wait_until_watched("w8")
            own.process.send_signal(number)
            output, errors = child.communicate()
            assert (child.returncode, output) == (2, "")
            assert errors.count("\n") == 1
            own.process.wait()
            own.process.start()


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_the_wait(self, shared: CommandLine, number: signal.Signals) -> None:
        """It prints nothing, and takes no mail that comes later."""
        child = shared.spawn("watch", "--block", "--name", "g1")
        shared.wait_until_watched("g1")
        child.send_signal(number)
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (128 + number, "", "")
        shared.send("g1", "later")
        assert shared.await_bodies("g1") == ["later"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("verb", [["watch", "--block"], ["check"], ["watch", "--follow"]])
    def test_a_signal_while_the_output_blocks_puts_the_mail_back(
        self, shared: CommandLine, verb: list[str], number: signal.Signals
    ) -> None:
        """The reader of a pipe does not read; then the signal comes."""
        name = f"g2-{'-'.join(verb)}-{number}"
        shared.send(name, "x" * 500_000)  # more than a pipe takes
        child = shared.spawn(*verb, "--name", name)
        until(lambda: shared.pending(name) == 0, "the claim")
        assert child.stdout is not None
        child.stdout.read(1)  # it is printing
        child.send_signal(number)
        assert child.wait() == 128 + number
        until(lambda: shared.pending(name) == 1, "the release")
        [delivery] = shared.claim(name)
        assert len(delivery.body) == 500_000
        assert delivery.attempts > 1
        with shared.client() as daemon:
            daemon.ack([delivery.lease], Identity(name))

    def test_a_signal_ends_the_wait_for_a_daemon_that_hangs(self, shared: CommandLine) -> None:
        """It does not even notice that we close our side."""
        from client.server import Server

        with Server(lambda peer: (peer.read(), peer.await_end())) as server:  # type: ignore[func-returns-value]
            child = shared.spawn("watch", "--name", "g3", "--url", str(server.address))
            until(lambda: bool(server.requests), "the request")
            child.send_signal(signal.SIGTERM)
            assert child.wait() == 128 + signal.SIGTERM

    def test_a_message_that_comes_after_the_signal_is_put_back(self, shared: CommandLine) -> None:
        """The daemon had leased it before it saw us leave."""
        from client.server import Peer, Server

        def sends_message(peer: Peer) -> None:
            peer.read()
            watcher.send_signal(signal.SIGTERM)
            peer.await_end()  # our half of the connection is closed
            peer.respond(
                b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"token"}'
            )

        def accepts_release(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"done":["token"],"lost":[]}')

        with Server(sends_message, accepts_release) as server:
            watcher = shared.spawn("watch", "--name", "g4", "--url", str(server.address))
            output, _ = watcher.communicate()
        assert (watcher.returncode, output) == (128 + signal.SIGTERM, "")
        assert server.requests[1].startswith(b"POST /v1/release ")
        assert server.requests[1].endswith(b'{"leases":["token"]}')

    def test_an_ignored_signal_stays_ignored(self, shared: CommandLine) -> None:
        """As with `nohup` and background jobs of a shell."""
        child = shared.spawn(
            "watch",
            "--name",
            "g5",
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
        shared.wait_until_watched("g5")
        child.send_signal(signal.SIGINT)
        shared.send("g5", "still here")
        output, _ = child.communicate()
        assert (child.returncode, "still here" in output) == (0, True)


class TestBrokenOutput:
    def test_a_closed_pipe_puts_the_mail_back(self, shared: CommandLine) -> None:
        """Nobody has read it, so it was not delivered."""
        read, write = os.pipe()
        child = shared.spawn("watch", "--block", "--name", "o1", stdout=write)
        os.close(write)
        shared.wait_until_watched("o1")
        os.close(read)
        shared.send("o1", "precious")
        _, errors = child.communicate()
        assert child.returncode == 1
        assert "The mail was put back." in errors
        assert shared.bodies("o1") == ["precious"]

    def test_an_ack_that_fails_is_a_warning(self, shared: CommandLine) -> None:
        """The message was printed, so the exit code is 0; but it may come again."""
        from client.server import Server, respond_with

        mail = b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"token"}'
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(mail), mail)
        with Server(respond_with(response)) as server:
            done = shared.run("watch", "--name", "o2", "--url", str(server.address))
        assert (done.returncode, done.stdout) == (0, "[Claude-Mailbox] Mail from a: b\n")
        assert "not confirmed, so it may come again" in done.stderr

    def test_a_lease_that_has_expired_is_a_warning(self, shared: CommandLine) -> None:
        """Printing took too long."""
        from client.server import Peer, Server

        def script(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"l"}')
            peer.read()
            peer.respond(b'{"done":[],"lost":["l"]}')

        with Server(script) as server:
            done = shared.run("watch", "--name", "o3", "--url", str(server.address))
        assert done.returncode == 0
        assert "it may come again" in done.stderr


def test_a_long_wait_is_several_requests(
    shared: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon limits the wait of one request; the last one has the rest of the time."""
    from claude_mailbox.client.mail import watch
    from client.server import Peer, Server

    def script(peer: Peer) -> None:
        while peer.read():
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    monkeypatch.setattr(watch, "POLL_SECONDS", 300.0)
    clock = iter([0.0, 0.0, 299.0, 600.0, 700.0])
    monkeypatch.setattr(watch, "time", type("Clock", (), {"monotonic": lambda: next(clock)}))
    with Server(script) as server, server.daemon() as daemon:
        monkeypatch.setattr(watch, "Daemon", lambda _url: daemon)
        assert watch.watch(name="p", timeout=700) == watch.EXIT_TIMEOUT
    polls = [request.split(b" ")[1].partition(b"timeout=")[2] for request in server.requests]
    assert polls == [b"300.000&lease=60", b"300.000&lease=60", b"100.000&lease=60"]


def test_a_watcher_that_is_killed_takes_no_mail(shared: CommandLine) -> None:
    """What the daemon leases to it goes to the next one."""
    child = shared.spawn("watch", "--block", "--name", "k1")
    shared.wait_until_watched("k1")
    child.kill()
    child.wait()
    shared.send("k1", "for the next one")
    done = shared.run("watch", "--block", "--name", "k1", "--timeout", "5")
    assert done.stdout.endswith(": for the next one\n")
