"""``watch --follow``: one process for many messages, across restarts and renames."""

import contextlib
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
    """Return a chunk of the stream with these lines."""
    data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    return b"%x\r\n%s\r\n" % (len(data), data)


def mail(number: int, attempts: int = 1) -> dict[str, object]:
    """Return a message in the form of the stream."""
    return {
        "id": number,
        "from": "a",
        "body": f"body {number}",
        "sentAt": "2026-11-22T18:12:03.123Z",
        "attempts": attempts,
        "lease": f"lease-{number}-{attempts}",
    }


def lines_of(child: "subprocess.Popen[str]", count: int) -> list[str]:
    """Read the next *count* lines that a command prints."""
    assert child.stdout is not None
    return [child.stdout.readline().removesuffix("\n") for _ in range(count)]


def has_socket(pid: int) -> bool:
    """Return whether a process has a socket open."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(entry.readlink()))
    return any(link.startswith("socket:") for link in links)


def printed(number: int) -> str:
    """Return the line for message *number*."""
    return f"[Claude-Mailbox] Mail from a: body {number}"


class TestFollow:
    def test_prints_waiting_and_new_messages(self, shared: CommandLine) -> None:
        """In order; all of them are acked."""
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

    def test_json_is_one_document_for_each_message(self, shared: CommandLine) -> None:
        """One line each, without the lease."""
        shared.send("f2", "a\nb")
        child = shared.spawn("watch", "--follow", "--name", "f2", "--json")
        [line] = lines_of(child, 1)
        document = json.loads(line)
        assert (document["body"], "lease" in document) == ("a\nb", False)

    def test_continues_under_the_new_name(self, shared: CommandLine) -> None:
        """It prints that the mailbox was renamed."""
        shared.bodies("f3")
        child = shared.spawn("watch", "--follow", "--name", "f3")
        shared.wait_until_watched("f3")
        shared.run("rename", "--name", "f3", "--to", "f3-new")
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mailbox renamed to 'f3-new'"]
        shared.wait_until_watched("f3-new")
        shared.send("f3-new", "hello")
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mail from peer: hello"]

    def test_a_former_name_is_resolved(self, shared: CommandLine) -> None:
        """The mailbox was renamed before the start."""
        shared.bodies("f4")
        shared.run("rename", "--name", "f4", "--to", "f4-new")
        shared.send("f4-new", "hello")
        child = shared.spawn("watch", "--follow", "--name", "f4", "--json")
        notice, message = map(json.loads, lines_of(child, 2))
        assert (notice, message["body"]) == ({"renamed": "f4-new"}, "hello")

    def test_continues_after_restarts_of_the_daemon(self, own: CommandLine) -> None:
        """Whether killed or stopped: each message comes once, in order."""
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

    def test_a_full_disk_puts_the_mail_back(self, shared: CommandLine) -> None:
        """What cannot be printed is not delivered."""
        shared.send("f6", "precious")
        with Path("/dev/full").open("w") as full:
            child = shared.spawn("watch", "--follow", "--name", "f6", stdout=full)
            _, errors = child.communicate()
        assert child.returncode == 1
        assert "No space left on device. The mail was put back." in errors
        until(lambda: shared.pending("f6") == 1, "the release")
        assert shared.bodies("f6") == ["precious"]

    def test_ends_when_the_reader_of_its_output_leaves(self, shared: CommandLine) -> None:
        """At once, without waiting for the next message, and without an error message."""
        read, write = os.pipe()
        child = shared.spawn("watch", "--follow", "--name", "f8", stdout=write)
        os.close(write)
        shared.wait_until_watched("f8")
        os.close(read)
        _, errors = child.communicate()
        assert (child.returncode, errors) == (1, "")

    def test_a_slow_reader_loses_nothing(self, shared: CommandLine) -> None:
        """More messages than a pipe, a batch and the daemon's window hold, read late."""
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


class TestLostAck:
    def test_a_redelivered_message_is_acked_but_not_printed(self, shared: CommandLine) -> None:
        """The ack was lost with the daemon, and the message comes again with another lease."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + chunk(mail(1), mail(2)))

        def lost_ack(peer: Peer) -> None:
            peer.read()

        def ack_again(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"done":[],"lost":["lease-1-1","lease-2-1"]}')
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

    def test_messages_before_the_end_of_the_stream_are_printed(self, shared: CommandLine) -> None:
        """The daemon dies after it sent a message; the ack goes to the daemon that comes next."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + chunk(mail(1)) + b"5\r\nab")

        def lost_ack(peer: Peer) -> None:
            peer.read()

        def next_daemon(peer: Peer) -> None:
            requests.append(peer.read())
            peer.respond(b'{"done":["lease-1-1"],"lost":[]}')
            requests.append(peer.read())
            peer.send(HEAD + chunk(mail(2)))
            over.wait(10)

        over, requests = threading.Event(), list[bytes]()
        with Server(first, lost_ack, lost_ack, next_daemon) as server:
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
    def test_an_error_at_the_start_ends_it(self, shared: CommandLine) -> None:
        """Exit code 1 and the sentence of the daemon."""
        done = shared.run("watch", "--follow", "--name", "x" * 200)
        assert (done.returncode, done.stdout) == (1, "")
        assert "128" in done.stderr

    @pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
    def test_a_temporary_error_later_does_not_end_it(
        self, shared: CommandLine, status: str
    ) -> None:
        """It waits and connects again."""

        def first(peer: Peer) -> None:
            peer.read()
            peer.send(HEAD + b"0\r\n\r\n")

        def refuses(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"error":"Later.","reason":"quota-full"}', status)

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

    def test_a_signal_ends_it_while_the_daemon_is_down(self, own: CommandLine) -> None:
        """It does not wait for the daemon, or for the pause between two attempts."""
        own.send("t1", "hello")
        child = own.spawn("watch", "--follow", "--name", "t1")
        # Once it has printed, its connection is open, and the end of that is no longer an error.
        assert lines_of(child, 1) == ["[Claude-Mailbox] Mail from peer: hello"]
        own.process.kill()
        until(lambda: not has_socket(child.pid), "the end of its connection")
        child.terminate()
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (143, "", "")
