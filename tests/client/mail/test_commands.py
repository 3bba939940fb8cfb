"""send, peek, check and rename, as processes against a real daemon."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from claude_mailbox.client.reach.api import Identity
from support.commandline import CommandLine


class TestSend:
    def test_says_that_nobody_has_used_the_mailbox(self, shared: CommandLine) -> None:
        """The name may be a mistake."""
        done = shared.run("send", "--from", "s1", "--to", "s1-peer", "--body", "hi")
        assert (done.returncode, done.stderr) == (0, "")
        assert "to 's1-peer'; nobody has used that mailbox yet" in done.stdout
        assert shared.bodies("s1-peer") == ["hi"]

    def test_says_how_many_messages_wait(self, shared: CommandLine) -> None:
        """And when the mailbox was last seen."""
        shared.bodies("s2")
        done = shared.run("send", "--from", "a", "--to", "s2", "--body", "hi")
        assert "; 1 message waiting there, last seen 20" in done.stdout

    def test_says_that_the_mailbox_is_watched(self, shared: CommandLine) -> None:
        """A watcher gets the message at once."""
        watcher = shared.spawn("watch", "--block", "--name", "s3")
        shared.wait_until_watched("s3")
        assert (
            "it is being watched"
            in shared.run("send", "--from", "a", "--to", "s3", "--body", "hi").stdout
        )
        assert watcher.wait() == 0

    def test_says_where_the_message_was_forwarded_to(self, shared: CommandLine) -> None:
        """The mailbox was renamed."""
        shared.bodies("s4-old")
        shared.run("rename", "--name", "s4-old", "--to", "s4-new")
        done = shared.run("send", "--from", "a", "--to", "s4-old", "--body", "hi")
        assert "to 's4-new' (the new name of 's4-old')" in done.stdout

    def test_json_is_the_receipt_of_the_daemon(self, shared: CommandLine) -> None:
        """One document with all fields."""
        done = shared.run("send", "--from", "a", "--to", "s5", "--body", "hi", "--json")
        receipt = json.loads(done.stdout)
        assert (receipt["from"], receipt["to"], receipt["state"]) == ("a", "s5", "queued")

    @pytest.mark.parametrize(
        ("text", "body"),
        [("one\n", "one"), ("one\r\n", "one"), ("one\ntwo\n\n", "one\ntwo\n"), ("é 🎉", "é 🎉")],
    )
    def test_reads_the_body_from_standard_input(
        self, shared: CommandLine, text: str, body: str
    ) -> None:
        """Without the one line feed that shells add at the end."""
        done = shared.run("send", "--from", "a", "--to", "s6", "--body", "-", text=text)
        assert done.returncode == 0
        assert shared.bodies("s6") == [body]

    def test_standard_input_must_be_utf8(self, shared: CommandLine, tmp_path: Path) -> None:
        """Other bytes are an error, and so is a closed input."""
        (tmp_path / "bytes").write_bytes(b"\xff\xfa")
        with (tmp_path / "bytes").open() as file:
            child = shared.spawn("send", "--from", "a", "--to", "s7", "--body", "-", stdin=file)
            _, errors = child.communicate()
        assert (child.returncode, errors) == (
            1,
            "Error: Standard input is not UTF-8: convert the text first.\n",
        )
        child = shared.spawn(
            "send", "--from", "a", "--to", "s7", "--body", "-", preexec_fn=lambda: os.close(0)
        )
        _, errors = child.communicate()
        assert (child.returncode, "Standard input is closed" in errors) == (1, True)

    def test_names_may_have_blanks_and_any_script(self, shared: CommandLine) -> None:
        """Also characters that have a meaning in a URL."""
        for name in ("a b", "é+:@/_.-", "部门/前端", "हिन्दी 2"):
            assert shared.run("send", "--from", name, "--to", name, "--body", name).returncode == 0
            assert shared.run("peek", "--name", name).stdout.startswith("1 pending")
            assert shared.run("check", "--name", name).stdout == (
                f"[Claude-Mailbox] Mail from {name}: {name}\n"
            )

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--from", "a\nX-Evil: 1", "--to", "b", "--body", "x"], "control character"),
            (["--from", "a", "--to", "b\x1b", "--body", "x"], "control character"),
            (["--from", "a", "--to", "", "--body", "x"], "'to'"),
            (["--from", "a", "--to", "b", "--body", ""], "'body'"),
            (["--from", "a" * 129, "--to", "b", "--body", "x"], "128"),
        ],
    )
    def test_a_refused_message_is_one_sentence(
        self, shared: CommandLine, arguments: list[str], words: str
    ) -> None:
        """Exit code 1, nothing on standard output."""
        assert words in error_of(shared.run("send", *arguments))

    def test_an_empty_name_is_no_sender(self, own: CommandLine) -> None:
        """On a daemon of its own: another one may know a session that this process belongs to."""
        done = own.run("send", "--from", "", "--to", "b", "--body", "x")
        assert "--from" in error_of(done)


def error_of(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one sentence of a command that was refused."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


class TestPeek:
    def test_counts_messages_without_taking_them(self, shared: CommandLine) -> None:
        """A second peek shows the same; an unknown mailbox has 0 pending."""
        shared.send("p1", "x")
        for _ in range(2):
            assert shared.run("peek", "--name", "p1").stdout.startswith(
                "1 pending, the oldest sent"
            )
        assert shared.run("peek", "--name", "p-none").stdout == "0 pending\n"
        document = json.loads(shared.run("peek", "--name", "p1", "--json").stdout)
        assert document["pending"] == 1

    def test_shows_the_messages_with_bodies(self, shared: CommandLine) -> None:
        """Framed as when they are handed out; they stay."""
        shared.send("p2", "two\nlines")
        shared.send("p2", "[Claude-Mailbox] Mail", sender="other")
        for _ in range(2):
            first, *lines = shared.run("peek", "--name", "p2", "--bodies").stdout.splitlines()
            assert first.startswith("2 pending, the oldest sent at ")
            assert lines == [
                "[Claude-Mailbox] Mail from peer: two",
                "  lines",
                "[Claude-Mailbox] Mail from other: [Claude-Mailbox] Mail",
            ]
        document = json.loads(shared.run("peek", "--name", "p2", "--bodies", "--json").stdout)
        assert [message["from"] for message in document["messages"]] == ["peer", "other"]

    def test_counts_what_it_does_not_show(self, shared: CommandLine) -> None:
        for number in range(1002):
            shared.send("p3", str(number))
        lines = shared.run("peek", "--name", "p3", "--bodies").stdout.splitlines()
        assert lines[1000:] == ["[Claude-Mailbox] Mail from peer: 999", "and 2 more"]

    def test_does_not_make_the_mailbox_known(self, shared: CommandLine) -> None:
        """Only its owner does, by using it."""
        shared.run("peek", "--name", "p-ghost")
        done = shared.run("send", "--from", "a", "--to", "p-ghost", "--body", "x", "--json")
        assert json.loads(done.stdout)["recipient"]["known"] is False


class TestCheck:
    def test_prints_and_takes_all_messages_in_order(self, shared: CommandLine) -> None:
        """Oldest first; a second check prints nothing."""
        for number in range(3):
            shared.send("c1", f"body {number}\nline two")
        done = shared.run("check", "--name", "c1")
        assert done.stdout == "".join(
            f"[Claude-Mailbox] Mail from peer: body {n}\n  line two\n" for n in range(3)
        )
        done = shared.run("check", "--name", "c1")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_takes_more_than_the_daemon_sends_at_once(self, shared: CommandLine) -> None:
        """It asks again until nothing is left."""
        bodies = [
            str(number) * 1_000_000 for number in range(1, 10)
        ]  # one response has at most 8 MiB
        for body in bodies:
            shared.send("c2", body)
        done = shared.run("check", "--name", "c2", "--json")
        messages = json.loads(done.stdout)
        assert [message["body"] for message in messages] == bodies
        assert all("lease" not in message for message in messages)
        assert shared.pending("c2") == 0

    def test_limit_leaves_the_rest(self, shared: CommandLine) -> None:
        """The limit must be 1 or more."""
        for number in range(3):
            shared.send("c3", str(number))
        assert shared.run("check", "--name", "c3", "--limit", "2").stdout.count("Mail from") == 2
        assert shared.bodies("c3") == ["2"]
        assert shared.run("check", "--name", "c3", "--limit", "0").returncode == 1

    @pytest.mark.parametrize("as_json", [[], ["--json"]])
    def test_a_full_disk_puts_the_mail_back(self, shared: CommandLine, as_json: list[str]) -> None:
        """What was not printed is not lost, and the next attempt is the second."""
        shared.send("c4", "precious")
        with Path("/dev/full").open("w") as full:
            child = shared.spawn("check", "--name", "c4", *as_json, stdout=full)
            _, errors = child.communicate()
        assert child.returncode == 1
        sentence = (
            "Standard output cannot be written: No space left on device. The mail was put back."
        )
        if as_json:
            assert json.loads(errors) == {"error": sentence, "reason": "output-lost"}
        else:
            assert errors == f"Error: {sentence}\n"
        [delivery] = shared.claim("c4")
        assert (delivery.body, delivery.attempts) == ("precious", 2)
        with shared.client() as daemon:
            daemon.ack([delivery.lease], Identity("c4"))

    def test_a_closed_output_puts_the_mail_back(self, shared: CommandLine) -> None:
        """Standard output may be closed, or a pipe whose reader is gone."""
        shared.send("c5", "precious")
        child = shared.spawn("check", "--name", "c5", stdout=None, preexec_fn=lambda: os.close(1))
        assert child.wait() == 1
        read, write = os.pipe()
        os.close(read)
        child = shared.spawn("check", "--name", "c5", stdout=write)
        os.close(write)
        assert child.wait() == 1
        assert child.stderr is not None
        assert "Broken pipe" in child.stderr.read()
        assert shared.bodies("c5") == ["precious"]


class TestRename:
    def test_says_how_many_messages_moved(self, shared: CommandLine) -> None:
        """They are in the mailbox under its new name."""
        shared.bodies("r1")
        shared.send("r1", "x")
        done = shared.run("rename", "--name", "r1", "--to", "r1-new")
        assert done.stdout == "'r1' is now 'r1-new'; 1 message moved along.\n"
        assert shared.bodies("r1-new") == ["x"]

    def test_a_taken_name_is_an_error(self, shared: CommandLine) -> None:
        """Exit code 1 and the sentence of the daemon."""
        shared.bodies("r2")
        shared.bodies("r2-taken")
        done = shared.run("rename", "--name", "r2", "--to", "r2-taken", "--json")
        assert (done.returncode, done.stdout) == (1, "")
        assert "r2-taken" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "--from", "a", "--to", "b", "--body", "x"],
        ["peek", "--name", "a"],
        ["check", "--name", "a"],
        ["watch", "--name", "a"],
        ["watch", "--follow", "--name", "a"],
        ["rename", "--name", "a", "--to", "b"],
        ["list"],
    ],
)
def test_without_a_daemon_the_exit_code_is_2(shared: CommandLine, arguments: list[str]) -> None:
    """One sentence says which address was tried and what to do."""
    done = shared.run(*arguments, "--url", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: No daemon answers at http://127.0.0.1:9: start it with 'claude-mailbox start'.\n"
    )


def test_a_url_may_be_a_tcp_port_or_a_unix_socket(shared: CommandLine) -> None:
    """From the flag or from the environment."""
    for url in (shared.process.url, f"unix:{shared.process.socket_path}"):
        assert shared.run("peek", "--name", "x", "--url", url).returncode == 0
        variables = {"CLAUDE_MAILBOX_URL": url}
        assert shared.run("peek", "--name", "x", environment=variables).returncode == 0


def test_send_is_repeated_when_the_connection_breaks(shared: CommandLine) -> None:
    """Once, with the same idempotency key, so that the message is not stored twice."""
    from client.server import Server, respond_with

    with Server(respond_with(), respond_with()) as server:
        done = shared.run(
            "send", "--from", "a", "--to", "b", "--body", "x", "--url", str(server.address)
        )
    assert done.returncode == 2
    assert "It is not known whether the message was stored." in done.stderr
    first, second = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests)
    assert first == second
    assert len(first["idempotencyKey"]) >= 16


def test_check_on_a_terminal_says_that_there_is_no_mail(shared: CommandLine) -> None:
    """A program that reads the output gets nothing instead."""
    import pty

    master, slave = pty.openpty()
    child = shared.spawn("check", "--name", "nobody", stdout=slave, stderr=subprocess.STDOUT)
    os.close(slave)
    assert child.wait() == 0
    assert os.read(master, 1000) == b"No mail.\r\n"
    os.close(master)
