"""send with its options, reply, ask and parked, as processes against a real daemon."""

import json
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.client.reach.api import Identity
from client.server import Peer, Server
from support.commandline import CommandLine, until
from support.daemon import DaemonProcess

UNREACHABLE = 2


def take(shared: CommandLine, name: str) -> list[dict[str, Any]]:
    """Take all mail for good, by the command."""
    messages = json.loads(shared.run("check", "--name", name, "--json").stdout)
    assert isinstance(messages, list)
    return messages


def question_to(shared: CommandLine, name: str) -> int:
    """Wait for a message; return its number."""
    done = shared.run("watch", "--name", name, "--timeout", "30", "--json")
    number = json.loads(done.stdout)["id"]
    assert isinstance(number, int)
    return number


class TestSend:
    def test_send_takes_all_fields_of_a_message(self, shared: CommandLine) -> None:
        first = json.loads(shared.run("send", "--from", "c1", "--to", "c1b", "x", "--json").stdout)
        done = shared.run(
            "send",
            "--from",
            "c1b",
            "--reply-to",
            str(first["id"]),
            "--ask",
            "60",
            "--urgency",
            "high",
            "--ttl",
            "50",
            "--key",
            "k",
            "--body",
            "really?",
            "--json",
        )
        again = shared.run(
            "send",
            "--from",
            "c1b",
            "--reply-to",
            str(first["id"]),
            "--ask",
            "60",
            "--urgency",
            "high",
            "--ttl",
            "50",
            "--key",
            "k",
            "--body",
            "really?",
            "--json",
        )
        receipt = json.loads(done.stdout)
        assert receipt["to"] == "c1"
        assert json.loads(again.stdout)["duplicate"] is True
        (message,) = take(shared, "c1")
        assert (message["replyTo"], message["urgency"]) == (first["id"], "high")
        assert "answerBy" in message

    def test_the_name_comes_from_the_environment(self, shared: CommandLine) -> None:
        environment = {"CLAUDE_MAILBOX_NAME": "c2"}
        shared.run("send", "--to", "c2", "from me to me", environment=environment)
        done = shared.run("check", environment=environment)
        assert done.stdout == "[Claude-Mailbox] Mail from c2: from me to me\n"

    def test_the_text_is_an_argument_or_comes_on_standard_input(self, shared: CommandLine) -> None:
        shared.run("send", "--from", "a", "--to", "c3", "argument")
        shared.run("send", "--from", "a", "--to", "c3", text="standard input\n")
        both = shared.run("send", "--from", "a", "--to", "c3", "x", "--body", "y")
        assert both.returncode == 1
        assert shared.bodies("c3") == ["argument", "standard input"]

    def test_delayed_mail_is_not_there_yet(self, shared: CommandLine) -> None:
        shared.run("send", "--from", "a", "--to", "c4", "--delay", "600", "later")
        assert shared.bodies("c4") == []

    def test_without_a_receiver_it_is_an_error(self, shared: CommandLine) -> None:
        done = shared.run("send", "--from", "a", "x")
        assert (done.returncode, "'--to'" in done.stderr) == (1, True)


class TestAsk:
    def test_prints_the_answer_and_nothing_else(self, shared: CommandLine) -> None:
        """It is delivered then."""
        asking = shared.spawn("ask", "--from", "a1", "--to", "a1b", "--body", "why?")
        number = question_to(shared, "a1b")
        news = shared.run("reply", "--name", "a1b", str(number), "--news", "a moment")
        assert news.returncode == 0
        shared.run("reply", "--name", "a1b", str(number), "--body", "two\nlines")
        out, err = asking.communicate(timeout=30)
        assert (asking.returncode, out, err) == (0, "two\nlines\n", "")
        assert [message["body"] for message in take(shared, "a1")] == ["a moment"]
        receipt = shared.run("receipt", str(number), "--name", "a1", "--wait-for", "replied")
        assert ", answered, replied to by message" in receipt.stdout

    def test_exits_with_3_while_the_question_is_open(self, shared: CommandLine) -> None:
        """The answer comes as mail."""
        done = shared.run("ask", "--from", "a2", "--to", "a2b", "why?", "--timeout", "0")
        assert (done.returncode, done.stdout) == (3, "")
        assert "No answer yet" in done.stderr
        shared.run("reply", "--name", "a2b", str(question_to(shared, "a2b")), "because")
        assert shared.bodies("a2") == ["because"]

    def test_says_why_there_will_be_no_answer(self, shared: CommandLine) -> None:
        asking = shared.spawn("ask", "--from", "a3", "--to", "a3b", "--body", "why?")
        question_to(shared, "a3b")
        assert shared.run("delete", "--name", "a3b").returncode == 0
        out, err = asking.communicate(timeout=60)
        assert (asking.returncode, out) == (1, "")
        assert "that mailbox was deleted" in err
        assert shared.bodies("a3") == []

    def test_json_is_the_answer_of_the_daemon(self, shared: CommandLine) -> None:
        """Without the lease, which is over."""
        asking = shared.spawn("ask", "--from", "a4", "--to", "a4b", "why?", "--json")
        shared.run("reply", "--name", "a4b", str(question_to(shared, "a4b")), "because")
        out, _ = asking.communicate(timeout=30)
        answer = json.loads(out)["answer"]
        assert answer["body"] == "because"
        assert "lease" not in answer

    def test_an_answer_that_cannot_be_printed_stays(self, shared: CommandLine) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("there is no full disk to write to")
        with open("/dev/full", "w") as full:
            asking = shared.spawn("ask", "--from", "a5", "--to", "a5b", "why?", stdout=full)
            shared.run("reply", "--name", "a5b", str(question_to(shared, "a5b")), "because")
            assert asking.wait(timeout=30) == 1
        until(lambda: shared.bodies("a5") == ["because"], "the answer to come as mail")


class TestAskAndTheDaemon:
    """The daemon is restarted while a script waits."""

    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_the_wait_goes_on_when_the_daemon_is_back(self, end: str) -> None:
        """The answer may have come meanwhile, or come later."""
        with DaemonProcess() as process, CommandLine(process) as own:
            asking = own.spawn("ask", "--from", "ci", "--to", "peer", "why?", "--timeout", "60")
            number = question_to(own, "peer")
            process.kill() if end == "kill" else process.stop()
            process.restart(same_port=True)
            assert own.run("reply", "--name", "peer", str(number), "because").returncode == 0
            assert asking.communicate(timeout=60) == ("because\n", "")
            assert asking.returncode == 0
            assert own.bodies("ci") == []
            assert own.bodies("peer") == []

    def test_it_ends_when_the_daemon_stays_away(self) -> None:
        """And does not begin when it was never there."""
        with DaemonProcess() as process, CommandLine(process) as own:
            words = ("ask", "--from", "ci", "--to", "peer", "why?", "--timeout", "2")
            asking = own.spawn(*words)
            question_to(own, "peer")
            process.kill()
            assert asking.wait(timeout=60) == UNREACHABLE
            assert own.run("ask", "--from", "ci", "--to", "p", "why?").returncode == UNREACHABLE

    def test_an_answer_that_is_leased_elsewhere_is_waited_for(self, shared: CommandLine) -> None:
        """Such as to our own connection that broke: a daemon that says so at once is not stormed."""
        receipt = {"id": 7, "from": "ci", "to": "peer", "answer": None}

        def script(peer: Peer) -> None:
            while peer.read():
                peer.respond(json.dumps(receipt).encode())

        with Server(script) as server:
            address = ("--url", str(server.address))
            done = shared.run(
                "ask", "--from", "ci", "--to", "peer", "?", "--timeout", "1.5", *address
            )
        assert done.returncode == 3
        assert 2 <= len(server.requests) <= 4


def test_parked_messages_are_listed_retried_and_dropped() -> None:
    """What is not parked is named, and the exit code tells."""
    with DaemonProcess({"maxAttempts": 1}) as process, CommandLine(process) as own:
        numbers = [
            json.loads(own.run("send", "--from", "a", "--to", "b", str(n), "--json").stdout)["id"]
            for n in range(2)
        ]
        with own.client() as daemon:
            deliveries, _ = daemon.claim(Identity("b"))
            daemon.release([delivery.lease for delivery in deliveries], Identity("b"))
        assert own.run("check", "--name", "b").stdout == ""
        listed = own.run("parked", "list").stdout.splitlines()
        assert len(listed) == 2
        assert f"Message {numbers[0]} from 'a' to 'b': parked" in listed[0]
        assert json.loads(own.run("parked", "--json", "--name", "nobody").stdout) == []
        done = own.run("parked", "retry", str(numbers[0]), "999")
        assert (done.returncode, done.stdout) == (1, f"Waiting again: {numbers[0]}\n")
        assert "Not parked: 999." in done.stderr
        assert own.run("parked", "drop", str(numbers[1])).returncode == 0
        assert own.bodies("b") == ["0"]
        assert own.run("parked", "retry").returncode == 1
