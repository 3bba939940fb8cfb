"""``watch --follow``: many messages, one process, over restarts and renames."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from claude_mailbox.client.reach.api import Daemon, Identity
from client.server import Peer, Server
from support.commandline import CommandLine, until

# How long the follower of a test believes in a silent stream.
SILENCE_SECONDS = 2.0
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n"


def chunk(*messages: object) -> bytes:
    """Return a piece of the stream with these lines."""
    data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    return b"%x\r\n%s\r\n" % (len(data), data)


def mail(number: int, attempts: int = 1) -> dict[str, object]:
    """Return a message as the stream has it."""
    return {
        "id": number,
        "from": "a",
        "body": f"body {number}",
        "sentAt": "2026-11-22T18:12:03.123Z",
        "attempts": attempts,
        "lease": f"lease-{number}-{attempts}",
    }


def lines_of(child: "subprocess.Popen[str]", count: int) -> list[str]:
    """Read so many lines of what a command prints."""
    assert child.stdout is not None
    return [child.stdout.readline().removesuffix("\n") for _ in range(count)]


def printed(number: int) -> str:
    """Return the line for the message of that number."""
    return f"[Claude-Mailbox] Mail from a: body {number}"


class TestFollow:
    def test_prints_what_waits_and_what_comes(self, shared: CommandLine) -> None:
        """In order, and acked: nothing is left when it ends."""
        for number in range(3):
            shared.send("f1", str(number))
        child = shared.spawn("watch", "--follow", "--name", "f1")
        assert lines_of(child, 3) == [f"[Claude-Mailbox] Mail from peer: {n}" for n in range(3)]
        shared.send("f1", "late")
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mail from peer: late"]

        def is_empty() -> bool:
            with shared.client() as daemon:
                me = Identity("f1-twin")
                rows = daemon.call("GET", "/v1/list", identity=me).value
            assert isinstance(rows, list)
            return all(row["pending"] == 0 for row in rows if row["name"] == "f1")

        until(is_empty, "the ack")
        child.terminate()
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (143, "", "")

    def test_json_is_one_document_a_line(self, shared: CommandLine) -> None:
        """Without the lease."""
        shared.send("f2", "a\nb")
        child = shared.spawn("watch", "--follow", "--name", "f2", "--json")
        [line] = lines_of(child, 1)
        document = json.loads(line)
        assert (document["body"], "lease" in document) == ("a\nb", False)

    def test_goes_on_under_the_new_name(self, shared: CommandLine) -> None:
        """It says that the name has changed."""
        shared.bodies("f3")
        child = shared.spawn("watch", "--follow", "--name", "f3")
        shared.wait_until_watched("f3")
        shared.run("rename", "--name", "f3", "--to", "f3-new")
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mailbox renamed to 'f3-new'"]
        shared.wait_until_watched("f3-new")
        shared.send("f3-new", "hello")
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mail from peer: hello"]

    def test_a_former_name_is_followed(self, shared: CommandLine) -> None:
        """Started under a name that the mailbox has left."""
        shared.bodies("f4")
        shared.run("rename", "--name", "f4", "--to", "f4-new")
        shared.send("f4-new", "hello")
        child = shared.spawn("watch", "--follow", "--name", "f4", "--json")
        notice, message = map(json.loads, lines_of(child, 2))
        assert (notice, message["body"]) == ({"renamed": "f4-new"}, "hello")

    def test_comes_through_restarts(self, own: CommandLine) -> None:
        """Killed or stopped: each message comes once, in order, in one process."""
        child = own.spawn("watch", "--follow", "--name", "f5")
        own.wait_until_watched("f5")
        for number in range(0, 6, 2):
            own.send("f5", str(number))
            assert lines_of(child, 1) == [f"[Claude-Mailbox] Mail from peer: {number}"]
            if number % 4:
                own.process.stop()
            own.process.restart(same_port=True)
            own.send("f5", str(number + 1))
            assert lines_of(child, 1) == [f"[Claude-Mailbox] Mail from peer: {number + 1}"]
        child.terminate()
        assert child.communicate()[0] == ""

    def test_a_full_disk_puts_it_back(self, shared: CommandLine) -> None:
        """What could not be written was not delivered."""
        shared.send("f6", "precious")
        with Path("/dev/full").open("w") as full:
            child = shared.spawn("watch", "--follow", "--name", "f6", stdout=full)
            _, errors = child.communicate()
        assert child.returncode == 1
        assert "No space left on device. The mail was put back." in errors
        until(lambda: shared.pending("f6") == 1, "the release")
        assert shared.bodies("f6") == ["precious"]

    def test_a_reader_that_leaves_ends_it(self, shared: CommandLine) -> None:
        """It does not wait for the next message to find that out, and need not complain."""
        read, write = os.pipe()
        child = shared.spawn("watch", "--follow", "--name", "f8", stdout=write)
        os.close(write)
        shared.wait_until_watched("f8")
        os.close(read)
        _, errors = child.communicate()
        assert (child.returncode, errors) == (1, "")

    def test_a_slow_reader_loses_nothing(self, shared: CommandLine) -> None:
        """More than a pipe, a batch and the window take, read late, and complete."""
        count, body = 1500, "x" * 300

        def fill(part: int) -> None:
            with Daemon(shared.process.url) as daemon:
                for number in range(part, count, 8):
                    content = {"to": "f7", "body": f"{number} {body}"}
                    daemon.call("POST", "/v1/send", identity=Identity("peer"), body=content)

        threads = [threading.Thread(target=fill, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        child = shared.spawn("watch", "--follow", "--name", "f7", "--json")
        for thread in threads:
            thread.join()
        messages = [json.loads(line) for line in lines_of(child, count)]
        numbers = [message["id"] for message in messages]
        assert numbers == sorted(set(numbers))
        assert {int(m["body"].split()[0]) for m in messages} == set(range(count))


class TestNeverTwice:
    def test_a_redelivered_message_is_acked_and_not_printed(self, shared: CommandLine) -> None:
        """Its ack was lost with the daemon; it comes again, under another lease."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + chunk(mail(1), mail(2)))

        def lost_ack(peer: Peer) -> None:
            peer.read()

        def ack_again(peer: Peer) -> None:
            peer.read()
            peer.answer(b'{"done":[],"lost":["lease-1-1","lease-2-1"]}')
            peer.read()
            peer.send(HEAD + chunk(mail(1, 2), mail(2, 2), mail(3)))
            over.wait(10)

        over = threading.Event()
        with Server(first, lost_ack, lost_ack, ack_again) as server:
            child = shared.spawn("watch", "--follow", "--name", "n", "--url", str(server.address))
            assert lines_of(child, 3) == [printed(1), printed(2), printed(3)]
            child.kill()
            over.set()
        assert server.requests[3].startswith(b"POST /v1/ack ")

    def test_what_was_read_before_the_break_is_printed(self, shared: CommandLine) -> None:
        """The daemon dies right behind a batch: that is printed, and then acked to its heir."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + chunk(mail(1)) + b"5\r\nab")

        def dead(peer: Peer) -> None:
            peer.read()

        def heir(peer: Peer) -> None:
            requests.append(peer.read())
            peer.answer(b'{"done":["lease-1-1"],"lost":[]}')
            requests.append(peer.read())
            peer.send(HEAD + chunk(mail(2)))
            over.wait(10)

        over, requests = threading.Event(), list[bytes]()
        with Server(first, dead, dead, heir) as server:
            child = shared.spawn("watch", "--follow", "--name", "n", "--url", str(server.address))
            assert lines_of(child, 2) == [printed(1), printed(2)]
            child.kill()
            over.set()
        assert b'{"leases":["lease-1-1"]}' in requests[0]
        assert requests[1].startswith(b"GET /v1/follow?name=n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
class TestStopped:
    def test_what_came_while_it_was_stopped_is_left_to_others(self, shared: CommandLine) -> None:
        """The daemon may have given it to another one meanwhile; what is still ours comes again."""
        code = (
            "from claude_mailbox.client.mail import follow, watch;"
            f"follow.SILENCE_SECONDS = {SILENCE_SECONDS};"
            "watch.watch(name='stopped', follow=True)"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env=shared.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            shared.send("stopped", "before")
            assert lines_of(child, 1) == ["[Claude-Mailbox] Mail from peer: before"]
            child.send_signal(signal.SIGSTOP)
            shared.send("stopped", "meanwhile")
            time.sleep(SILENCE_SECONDS * 1.25)  # it is this long that matters
            child.send_signal(signal.SIGCONT)
            assert lines_of(child, 1) == [
                "[Claude-Mailbox] Mail from peer (redelivered): meanwhile"
            ]
        finally:
            child.kill()
            child.communicate()


class TestTrouble:
    def test_a_refusal_at_first_ends_it(self, shared: CommandLine) -> None:
        """Exit code 1 and the daemon's sentence."""
        done = shared.run("watch", "--follow", "--name", "x" * 200)
        assert (done.returncode, done.stdout) == (1, "")
        assert "128" in done.stderr

    @pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
    def test_a_passing_refusal_later_does_not(self, shared: CommandLine, status: str) -> None:
        """It waits and comes back."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + b"0\r\n\r\n")

        def refuses(peer: Peer) -> None:
            peer.read()
            peer.answer(b'{"error":"Later.","reason":"quota-full"}', status)

        def third(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + chunk(mail(1)))
            over.wait(10)

        over = threading.Event()
        with Server(first, refuses, third) as server:
            child = shared.spawn("watch", "--follow", "--name", "n", "--url", str(server.address))
            assert lines_of(child, 1) == [printed(1)]
            child.kill()
            over.set()

    def test_a_signal_during_the_pause(self, own: CommandLine) -> None:
        """While the daemon is away it ends at once, too."""
        child = own.spawn("watch", "--follow", "--name", "t1")
        own.wait_until_watched("t1")
        own.process.kill()
        child.terminate()
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (143, "", "")
