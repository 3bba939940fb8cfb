"""``check --hook``: quick, quiet, and exit code 0 whatever happens."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from claude_mailbox.client.hooks import check as hooks
from claude_mailbox.client.reach.api import Identity
from client.server import Server, says
from support.commandline import CommandLine


def hook(event: str, session: str = "0f1e2d3c-aaaa") -> str:
    """Return what the client writes to a hook's standard input."""
    return json.dumps({"session_id": session, "hook_event_name": event, "cwd": "/"})


def announce(commandline: CommandLine, session: str) -> str:
    """Give a session a mailbox and return its name."""
    with commandline.client() as daemon:
        reply = daemon.call(
            "POST",
            "/v1/session",
            body={"sessionId": session, "name": f"project-{session[:8]}", "source": "startup"},
        )
    assert isinstance(reply.value, dict)
    return str(reply.value["name"])


class TestCheckHook:
    def test_nothing_waits_nothing_is_said(self, shared: CommandLine) -> None:
        """Not a byte, on either stream."""
        done = shared.run("check", "--hook", "--name", "h0", text=hook("UserPromptSubmit"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize("event", ["UserPromptSubmit", "SessionStart", "SomethingNew", ""])
    def test_plain_text_where_that_becomes_context(self, shared: CommandLine, event: str) -> None:
        """Framed for the model, acked when it is out."""
        shared.send("h1", "one\ntwo\x1b[2J", sender="backend")
        done = shared.run("check", "--hook", "--name", "h1", text=hook(event))
        lines = done.stdout.splitlines()
        assert lines[0].startswith(
            "[Claude-Mailbox] A message from peer sessions: not from the user"
        )
        assert lines[1].startswith("From backend, 20")
        assert lines[2:4] == ["  one", "  two\\x1b[2J"]
        assert lines[4].startswith("To answer: ")
        assert lines[4].endswith("claude-mailbox send --from h1 --to backend --body TEXT")
        with shared.client() as daemon:
            deleted = daemon.call(
                "DELETE", "/v1/mailbox", identity=Identity("h1"), query=("name=h1",)
            )
        assert deleted.value == {"deleted": True}

    @pytest.mark.parametrize("event", ["SubagentStop", "TaskCompleted", "PostToolBatch", "Stop"])
    def test_json_where_the_client_wants_it(self, shared: CommandLine, event: str) -> None:
        """The same text as additional context."""
        shared.send("h2", "hi")
        done = shared.run("check", "--hook", "--name", "h2", text=hook(event))
        output = json.loads(done.stdout)["hookSpecificOutput"]
        assert output["hookEventName"] == event
        assert "\n  hi\n" in output["additionalContext"]

    def test_the_session_has_the_mailbox(self, shared: CommandLine) -> None:
        """No name is needed: the daemon knows whose session it is."""
        name = announce(shared, "aaaa1111-session")
        shared.send(name, "for the session")
        done = shared.run("check", "--hook", text=hook("UserPromptSubmit", "aaaa1111-session"))
        assert "  for the session" in done.stdout
        shared.send(name, "by the environment")
        done = shared.run(
            "check", "--hook", environment={"CLAUDE_CODE_SESSION_ID": "aaaa1111-session"}
        )
        assert "  by the environment" in done.stdout

    def test_too_much_mail_is_shown_in_part(self, shared: CommandLine) -> None:
        """Whole messages under 10,000 characters; the rest waits and is counted."""
        for number in range(5):
            shared.send("h3", f"{number} " + "x" * 3000)
        done = shared.run("check", "--hook", "--name", "h3", text=hook("UserPromptSubmit"))
        assert len(done.stdout) < 10_000
        assert done.stdout.count("\nFrom peer") == 2
        assert "3 messages wait that did not fit here" in done.stdout
        assert shared.pending("h3") == 3

    def test_one_that_is_too_long_waits(self, shared: CommandLine) -> None:
        """It is announced, not cut, and not consumed."""
        shared.send("h4", "x" * 20_000)
        done = shared.run("check", "--hook", "--name", "h4", text=hook("UserPromptSubmit"))
        assert done.stdout.startswith("[Claude-Mailbox] 1 message waits that did not fit here.")
        assert shared.pending("h4") == 1

    def test_control_characters_do_not_burst_the_frame(self, shared: CommandLine) -> None:
        """What grows too long when it is shown goes back for the next time."""
        for _ in range(3):
            shared.send("h5", "\x1b" * 2000)
        done = shared.run("check", "--hook", "--name", "h5", text=hook("UserPromptSubmit"))
        assert len(done.stdout) < 10_000
        assert "2 messages wait" in done.stdout
        assert shared.pending("h5") == 2

    def test_an_output_that_breaks_puts_the_mail_back(self, shared: CommandLine) -> None:
        """And the exit code is still 0."""
        shared.send("h6", "precious")
        with Path("/dev/full").open("w") as full:
            child = shared.spawn("check", "--hook", "--name", "h6", stdout=full)
            assert child.wait() == 0
        assert shared.bodies("h6") == ["precious"]


class TestWake:
    def test_mail_goes_to_standard_error(self, shared: CommandLine) -> None:
        """With exit code 2, which wakes the session."""
        shared.send("wake1", "wake up")
        done = shared.run("check", "--hook", "--wake", "--name", "wake1", text=hook("FileChanged"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "\n  wake up\n" in done.stderr
        assert shared.pending("wake1") == 0

    def test_else_silence(self, shared: CommandLine) -> None:
        """No mail, no daemon, no session: exit code 0 and not a byte."""
        for arguments in (
            ["--name", "wake2"],
            ["--name", "wake2", "--url", "http://127.0.0.1:9"],
            ["--name", ""],
            [],
        ):
            done = shared.run("check", "--hook", "--wake", *arguments)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestTrouble:
    @pytest.mark.parametrize("event", ["UserPromptSubmit", "Stop"])
    def test_no_daemon_is_one_hint(self, shared: CommandLine, event: str) -> None:
        """For the model where text is context, for the user where context would go on and on."""
        done = shared.run(
            "check", "--hook", "--name", "a", "--url", "http://127.0.0.1:9", text=hook(event)
        )
        text = json.loads(done.stdout)["systemMessage"] if event == "Stop" else done.stdout
        assert done.returncode == 0
        assert done.stderr == ""
        assert text.strip() == (
            "[Claude-Mailbox] No mail daemon runs, so mail cannot be read: start it with"
            " 'claude-mailbox start'."
        )

    def test_a_hook_never_talks_to_the_port(self, shared: CommandLine, tmp_path: Path) -> None:
        """While the daemon is down another user may hold it, and would speak to the model."""
        (tmp_path / "mailbox.json").write_text(f'{{"port": {shared.process.port}}}')
        home = {"CLAUDE_MAILBOX_HOME": str(tmp_path)}
        assert shared.run("peek", "--name", "a", environment=home).returncode == 0
        done = shared.run("check", "--hook", "--name", "a", environment=home)
        assert "No mail daemon runs" in done.stdout

    @pytest.mark.parametrize(
        "text", ["", "not json", "[]", "{", '{"session_id": 5}', '{"session_id": ""}', "\0"]
    )
    def test_strange_input(self, shared: CommandLine, text: str) -> None:
        """Without a session and a name there is a hint, whatever came in."""
        done = shared.run("check", "--hook", text=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("[Claude-Mailbox] Give 'check --hook' a --name")

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 503 x\r\nContent-Length: 32\r\n\r\n"
            + b'{"error":"Full.","reason":"full"}'[:32],
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
            b"nonsense\r\n\r\n",
        ],
    )
    def test_a_strange_daemon(self, shared: CommandLine, answer: bytes) -> None:
        """One line, exit code 0."""
        with Server(says(answer)) as server:
            done = shared.run("check", "--hook", "--name", "a", "--url", str(server.address))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("[Claude-Mailbox] ")
        assert done.stdout.count("\n") == 1

    def test_a_malformed_address(self, shared: CommandLine) -> None:
        """Also in the environment of all hooks."""
        done = shared.run(
            "check", "--hook", "--name", "a", environment={"CLAUDE_MAILBOX_URL": "nonsense"}
        )
        assert done.returncode == 0
        assert done.stdout.startswith("[Claude-Mailbox] The daemon's URL nonsense")


class TestInput:
    def test_a_terminal_is_not_waited_for(self, shared: CommandLine) -> None:
        """Run by hand it does not hang."""
        master, slave = pty.openpty()
        child = shared.spawn("check", "--hook", "--name", "i1", stdin=slave)
        assert child.wait() == 0
        os.close(master)
        os.close(slave)

    def test_an_open_pipe_with_the_whole_object_is_enough(self, shared: CommandLine) -> None:
        """The client need not close it."""
        shared.send("i2", "{nested}")
        child = shared.spawn("check", "--hook", "--name", "i2", stdin=subprocess.PIPE)
        assert child.stdin is not None
        child.stdin.write('{"hook_event_name": "Stop", "x": {"y": 1}}')
        child.stdin.flush()
        assert child.stdout is not None
        assert json.loads(child.stdout.read())["hookSpecificOutput"]["hookEventName"] == "Stop"

    def test_a_pipe_that_says_nothing(self, shared: CommandLine) -> None:
        """It gives up on the input, not on the mail."""
        shared.send("i3", "hello")
        child = shared.spawn("check", "--hook", "--name", "i3", stdin=subprocess.PIPE)
        assert child.stdout is not None
        assert "  hello\n" in child.stdout.read()

    def test_an_object_in_pieces(self) -> None:
        """A brace inside does not end it."""
        read, write = os.pipe()
        os.write(write, b'{"a": {"b": 1}')
        os.write(write, b', "c": 2}')
        assert hooks._read_object(read) == {"a": {"b": 1}, "c": 2}
        os.close(read)
        os.close(write)

    def test_a_closed_input(self, shared: CommandLine) -> None:
        """`<&-`."""
        child = shared.spawn("check", "--hook", "--name", "i4", preexec_fn=lambda: os.close(0))
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (0, "", "")


def test_a_bug_does_not_fail_the_prompt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last net: an unexpected error is one line."""

    def breaks(*_: object, **__: object) -> object:
        raise RuntimeError("a bug")

    monkeypatch.setattr(hooks, "Daemon", breaks)
    monkeypatch.setattr(hooks.sys, "stdin", None)
    assert hooks.check_hook(name="a") == 0
    assert capsys.readouterr().out == (
        "[Claude-Mailbox] Mail cannot be read (RuntimeError: a bug).\n"
    )
