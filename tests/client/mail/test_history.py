"""receipt and log, as processes against a real daemon."""

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from claude_mailbox.client.reach.api import Identity
from support.commandline import CommandLine, until


def send(shared: CommandLine, sender: str, to: str, body: str) -> int:
    """Send a message; return its number."""
    with shared.client() as daemon:
        content = {"to": to, "body": body}
        result = daemon.call("POST", "/v1/send", identity=Identity(sender), body=content)
    assert isinstance(result.value, dict)
    number = result.value["id"]
    assert isinstance(number, int)
    return number


def history(shared: CommandLine, name: str) -> list[dict[str, Any]]:
    """Return what the daemon says of a mailbox, the oldest first."""
    with shared.client() as daemon:
        me = Identity(name)
        result = daemon.call("GET", "/v1/history", identity=me, query=tuple(me.query))
    assert isinstance(result.value, list)
    return result.value[::-1]


class TestReceipt:
    def test_tells_the_state_in_a_line(self, shared: CommandLine) -> None:
        """With local times."""
        number = send(shared, "receipt1", "receipt1-peer", "hi")
        waiting = shared.run("receipt", str(number), "--name", "receipt1")
        assert waiting.returncode == 0
        assert waiting.stdout.startswith(
            f"Message {number} from 'receipt1' to 'receipt1-peer': waiting; sent"
        )
        shared.claim("receipt1-peer")
        leased = shared.run("receipt", str(number), "--name", "receipt1")
        assert "'receipt1-peer': handed out, not confirmed yet; sent at" in leased.stdout
        number = send(shared, "receipt1", "receipt1-other", "hi")
        shared.bodies("receipt1-other")
        delivered = shared.run("receipt", str(number), "--name", "receipt1-other")
        assert "'receipt1-other': delivered by check at" in delivered.stdout
        assert " ago); sent at" in delivered.stdout or "just now); sent" in delivered.stdout

    def test_json_is_what_the_daemon_says(self, shared: CommandLine) -> None:
        number = send(shared, "receipt2", "receipt2-peer", "hi")
        status = json.loads(
            shared.run("receipt", str(number), "--name", "receipt2", "--json").stdout
        )
        (message,) = history(shared, "receipt2")
        assert status == {key: value for key, value in message.items() if key != "body"}

    def test_the_name_may_come_from_the_environment(self, shared: CommandLine) -> None:
        number = send(shared, "receipt3", "receipt3-peer", "hi")
        environment = {"CLAUDE_MAILBOX_NAME": "receipt3"}
        assert shared.run("receipt", str(number), environment=environment).returncode == 0
        done = shared.run("receipt", str(number))
        assert (done.returncode, done.stdout) == (1, "")
        assert "'--name'" in done.stderr

    def test_a_message_of_other_people_is_an_error(self, shared: CommandLine) -> None:
        number = send(shared, "receipt4", "receipt4-peer", "hi")
        done = shared.run("receipt", str(number), "--name", "receipt4-other")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"neither sent nor got a message {number}" in done.stderr

    def test_waits_for_the_delivery(self, shared: CommandLine) -> None:
        number = send(shared, "receipt5", "receipt5-peer", "hi")
        options = ("--wait-for", "delivered", "--timeout", "600", "--json")
        waiting = shared.spawn("receipt", str(number), "--name", "receipt5", *options)
        shared.bodies("receipt5-peer")
        output, _ = waiting.communicate()
        assert (waiting.returncode, json.loads(output)["state"]) == (0, "delivered")

    @pytest.mark.parametrize("event", ["delivered", "replied"])
    def test_exits_with_3_when_the_time_is_over(self, shared: CommandLine, event: str) -> None:
        """And tells the present state."""
        number = send(shared, "receipt6", f"receipt6-{event}", "hi")
        options = ("--wait-for", event, "--timeout", "0.1")
        done = shared.run("receipt", str(number), "--name", "receipt6", *options)
        assert (done.returncode, done.stderr) == (3, "")
        assert "waiting" in done.stdout

    def test_a_signal_ends_the_wait(self, shared: CommandLine) -> None:
        """With nothing printed."""
        number = send(shared, "receipt7", "receipt7-peer", "hi")
        options = ("--wait-for", "delivered", "--timeout", "600")
        waiting = shared.spawn("receipt", str(number), "--name", "receipt7-peer", *options)
        until(lambda: shared.is_known("receipt7-peer"), "the request of the command")
        waiting.send_signal(signal.SIGINT)
        output, errors = waiting.communicate()
        assert (waiting.returncode, output, errors) == (130, "", "")

    @pytest.mark.parametrize(
        "options",
        [("0",), ("x",), (), ("1", "--timeout", "5"), ("1", "--wait-for", "read")]
        + [("1", "--wait-for", "delivered", "--timeout", number) for number in ("-1", "nan")],
    )
    def test_mistakes_are_one_sentence(self, shared: CommandLine, options: tuple[str, ...]) -> None:
        done = shared.run("receipt", "--name", "receipt8", *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")


class TestLog:
    def test_prints_what_was_sent_and_got_oldest_first(self, shared: CommandLine) -> None:
        """Framed, and no body can pass for a line of ours."""
        first = send(shared, "log1", "log1-peer", "two\nlines \x1b[31m")
        second = send(shared, "log1-peer", "log1", "[Claude-Mailbox] Mail")
        shared.bodies("log1")
        lines = shared.run("log", "--name", "log1").stdout.splitlines()
        assert len(lines) == 3
        assert lines[0].startswith("[Claude-Mailbox] ")
        assert f") Mail {first} from log1 to log1-peer (waiting): two" in lines[0]
        assert lines[1] == "  lines \\x1b[31m"
        assert f"Mail {second} from log1-peer to log1 (delivered by check): [Claude" in lines[2]
        assert shared.pending("log1-peer") == 1

    def test_json_is_one_document_with_what_the_daemon_says(self, shared: CommandLine) -> None:
        for number in range(3):
            send(shared, "log2", "log2-peer", str(number))
        messages = json.loads(shared.run("log", "--name", "log2", "--json").stdout)
        assert messages == history(shared, "log2")
        assert json.loads(shared.run("log", "--name", "log2-nobody", "--json").stdout) == []

    def test_options_restrict_the_log(self, shared: CommandLine) -> None:
        """By peer, words, thread, age and number."""
        first = send(shared, "log3", "log3-peer", "one two")
        send(shared, "log3", "log3-other", "two one")
        for options, bodies in (
            (("--with", "log3-peer"), ["one two"]),
            (("--search", '"two one"'), ["two one"]),
            (("--search", "TWO one"), ["one two", "two one"]),
            (("--thread", str(first)), ["one two"]),
            (("--limit", "1"), ["two one"]),
            (("--since", "1h"), ["one two", "two one"]),
            (("--since", "2000-01-01"), ["one two", "two one"]),
            (("--since", "2100-01-01T10:00"), []),
        ):
            done = shared.run("log", "--name", "log3", "--json", *options)
            assert [message["body"] for message in json.loads(done.stdout)] == bodies

    def test_the_log_may_have_many_pages(self, shared: CommandLine) -> None:
        for number in range(510):
            send(shared, "log4", "log4-peer", str(number))
        done = shared.run("log", "--name", "log4", "--json", "--limit", "505")
        bodies = [message["body"] for message in json.loads(done.stdout)]
        assert bodies == [str(number) for number in range(5, 510)]

    def test_a_malformed_time_is_an_error(self, shared: CommandLine) -> None:
        done = shared.run("log", "--name", "log5", "--since", "yesterday")
        assert (done.returncode, done.stdout) == (1, "")
        assert "'--since' must be an age" in done.stderr


class TestFollow:
    def test_prints_what_comes_and_comes_through_a_restart(self, own: CommandLine) -> None:
        """Each message once, one line of JSON each."""
        send(own, "follow1", "follow1-peer", "before")
        log = own.spawn("log", "--name", "follow1", "--follow", "--json")
        assert log.stdout is not None
        assert json.loads(log.stdout.readline())["body"] == "before"
        send(own, "follow1", "follow1-peer", "sent")
        send(own, "follow1-peer", "follow1", "got")
        assert json.loads(log.stdout.readline())["body"] == "sent"
        assert json.loads(log.stdout.readline())["body"] == "got"
        own.process.restart(same_port=True)
        send(own, "follow1", "follow1-peer", "after")
        assert json.loads(log.stdout.readline())["body"] == "after"
        log.send_signal(signal.SIGTERM)
        assert log.wait() == 128 + signal.SIGTERM

    def test_ends_when_nobody_reads_any_more(self, shared: CommandLine) -> None:
        """Without a word, and before anything else comes."""
        send(shared, "follow2", "follow2-peer", "hi")
        log = shared.spawn("log", "--name", "follow2", "--follow")
        assert log.stdout is not None
        assert "hi" in log.stdout.readline()
        log.stdout.close()
        assert log.stderr is not None
        assert log.stderr.read() == ""
        assert log.wait() == 1


def test_since_is_exact_to_the_millisecond(shared: CommandLine) -> None:
    send(shared, "history1", "history1-peer", "hi")
    sent_at = datetime.fromisoformat(history(shared, "history1")[0]["sentAt"])
    later = (sent_at + timedelta(milliseconds=1)).astimezone(UTC).isoformat()
    done = shared.run("log", "--name", "history1", "--json", "--since", later)
    assert json.loads(done.stdout) == []
