"""``watch --block``: one message and out, and nothing lost whatever happens."""

import json
import os
import signal

import pytest

from claude_mailbox.client.reach.api import Identity
from support.commandline import CommandLine, until


class TestBlock:
    def test_prints_one_message_and_leaves_the_rest(self, shared: CommandLine) -> None:
        """Exit code 0, exactly one line, first in first out."""
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

    def test_times_out_in_silence(self, shared: CommandLine) -> None:
        """Exit code 3, nothing printed."""
        done = shared.run("watch", "--block", "--name", "w3", "--timeout", "0.05")
        assert (done.returncode, done.stdout, done.stderr) == (3, "", "")

    def test_a_rename_is_a_notice(self, shared: CommandLine) -> None:
        """During the wait, and at once for a name that was left before."""
        shared.bodies("w4")
        child = shared.spawn("watch", "--block", "--name", "w4")
        shared.wait_until_watched("w4")
        shared.run("rename", "--name", "w4", "--to", "w4-new")
        output, _ = child.communicate()
        assert (child.returncode, output) == (0, "[Claude-Mailbox] Mailbox renamed to 'w4-new'\n")
        done = shared.run("watch", "--block", "--name", "w4", "--json")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"renamed": "w4-new"})

    def test_json(self, shared: CommandLine) -> None:
        """The message as one document, without its lease."""
        shared.send("w5", "a\nb")
        document = json.loads(shared.run("watch", "--name", "w5", "--json").stdout)
        assert (document["from"], document["body"], document["attempts"]) == ("peer", "a\nb", 1)
        assert "lease" not in document

    def test_a_redelivered_message_says_so(self, shared: CommandLine) -> None:
        """Handed out before, never confirmed."""
        shared.send("w6", "again")
        [mail] = shared.claim("w6")
        with shared.client() as daemon:
            daemon.release([mail.lease], Identity("w6"))
        done = shared.run("watch", "--block", "--name", "w6")
        assert done.stdout == "[Claude-Mailbox] Mail from peer (redelivered): again\n"

    def test_what_was_printed_is_acked(self, shared: CommandLine) -> None:
        """It does not come back: no lease is left open."""
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
            (["--block", "--follow"], "'--follow' does not end by itself"),
            (["--follow", "--timeout", "5"], "'--follow' does not end by itself"),
        ],
    )
    def test_mistakes(self, shared: CommandLine, arguments: list[str], words: str) -> None:
        """Exit code 1, one sentence."""
        done = shared.run("watch", "--name", "a", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr

    def test_a_daemon_that_stops_is_exit_code_2(self, own: CommandLine) -> None:
        """Whether it says goodbye or not."""
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
    def test_while_waiting(self, shared: CommandLine, number: signal.Signals) -> None:
        """It ends at once and in silence; mail that comes then is for the next one."""
        child = shared.spawn("watch", "--block", "--name", "g1")
        shared.wait_until_watched("g1")
        child.send_signal(number)
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (128 + number, "", "")
        shared.send("g1", "later")
        assert shared.bodies("g1") == ["later"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("verb", [["watch", "--block"], ["check"], ["watch", "--follow"]])
    def test_while_the_output_is_stuck(
        self, shared: CommandLine, verb: list[str], number: signal.Signals
    ) -> None:
        """A reader that does not read, then Ctrl-C: the message goes back at once."""
        name = f"g2-{'-'.join(verb)}-{number}"
        shared.send(name, "x" * 500_000)  # more than a pipe takes
        child = shared.spawn(*verb, "--name", name)
        until(lambda: shared.pending(name) == 0, "the claim")
        assert child.stdout is not None
        child.stdout.read(1)  # it is printing
        child.send_signal(number)
        assert child.wait() == 128 + number
        until(lambda: shared.pending(name) == 1, "the release")
        [mail] = shared.claim(name)
        assert len(mail.body) == 500_000
        assert mail.attempts > 1
        with shared.client() as daemon:
            daemon.ack([mail.lease], Identity(name))

    def test_a_daemon_that_hangs_does_not_keep_us(self, shared: CommandLine) -> None:
        """One that does not even notice that we leave."""
        from client.server import Server

        with Server(lambda peer: (peer.read(), peer.await_end())) as server:  # type: ignore[func-returns-value]
            child = shared.spawn("watch", "--name", "g3", "--url", str(server.address))
            until(lambda: bool(server.requests), "the request")
            child.send_signal(signal.SIGTERM)
            assert child.wait() == 128 + signal.SIGTERM

    def test_an_answer_that_crosses_the_signal_is_put_back(self, shared: CommandLine) -> None:
        """The daemon had handed the message out already: its lease is released."""
        from client.server import Peer, Server

        def hands_out(peer: Peer) -> None:
            peer.read()
            watcher.send_signal(signal.SIGTERM)
            peer.await_end()  # the half-close
            peer.answer(b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"token"}')

        def takes_back(peer: Peer) -> None:
            peer.read()
            peer.answer(b'{"done":["token"],"lost":[]}')

        with Server(hands_out, takes_back) as server:
            watcher = shared.spawn("watch", "--name", "g4", "--url", str(server.address))
            output, _ = watcher.communicate()
        assert (watcher.returncode, output) == (128 + signal.SIGTERM, "")
        assert server.requests[1].startswith(b"POST /v1/release ")
        assert server.requests[1].endswith(b'{"leases":["token"]}')

    def test_an_ignored_signal_stays_ignored(self, shared: CommandLine) -> None:
        """`nohup` and background jobs of a shell mean it."""
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
    def test_a_closed_pipe_puts_the_message_back(self, shared: CommandLine) -> None:
        """Nobody read it, so it was not delivered."""
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

    def test_a_lost_ack_is_said(self, shared: CommandLine) -> None:
        """The message was printed, so the exit code is 0, but it may come again."""
        from client.server import Server, says

        mail = b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"token"}'
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(mail), mail)
        with Server(says(answer)) as server:
            done = shared.run("watch", "--name", "o2", "--url", str(server.address))
        assert (done.returncode, done.stdout) == (0, "[Claude-Mailbox] Mail from a: b\n")
        assert "not confirmed, so it may come again" in done.stderr

    def test_a_lease_that_ran_out_is_said(self, shared: CommandLine) -> None:
        """Printing took longer than the lease."""
        from client.server import Peer, Server

        def script(peer: Peer) -> None:
            peer.read()
            peer.answer(b'{"id":1,"from":"a","body":"b","sentAt":"t","attempts":1,"lease":"l"}')
            peer.read()
            peer.answer(b'{"done":[],"lost":["l"]}')

        with Server(script) as server:
            done = shared.run("watch", "--name", "o3", "--url", str(server.address))
        assert done.returncode == 0
        assert "it may come again" in done.stderr


def test_a_long_wait_is_many_polls(shared: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what the daemon allows for one, it asks again, for the rest of the time."""
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


def test_a_killed_watcher_eats_no_mail(shared: CommandLine) -> None:
    """A watcher that is killed with -9 keeps nothing: the daemon puts its mail back."""
    child = shared.spawn("watch", "--block", "--name", "k1")
    shared.wait_until_watched("k1")
    child.kill()
    child.wait()
    shared.send("k1", "for the next one")
    done = shared.run("watch", "--block", "--name", "k1", "--timeout", "5")
    assert done.stdout.endswith(": for the next one\n")
