"""``check --hook``: it gives mail to the model, and exits with 0 whatever happens."""

import json
from pathlib import Path

import pytest

from claude_mailbox.client.hooks import check, hook_io
from claude_mailbox.client.reach.api import Identity
from client.server import Server, respond_with
from support.commandline import CommandLine


def hook(event: str, session: str = "0f1e2d3c-aaaa") -> str:
    """Return what Claude Code writes to the standard input of a hook."""
    return json.dumps({"session_id": session, "hook_event_name": event, "cwd": "/"})


def announce(commandline: CommandLine, session: str) -> str:
    """Register a session and return the name of its mailbox."""
    with commandline.client() as daemon:
        result = daemon.call(
            "POST",
            "/v1/session",
            body={"sessionId": session, "name": f"project-{session[:8]}", "source": "startup"},
        )
    assert isinstance(result.value, dict)
    return str(result.value["name"])


class TestCheckHook:
    def test_prints_nothing_if_no_mail_waits(self, shared: CommandLine) -> None:
        """Not a byte, on either stream."""
        done = shared.run("check", "--hook", "--name", "h0", text=hook("UserPromptSubmit"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize("event", ["UserPromptSubmit", "SessionStart", "SomethingNew", ""])
    def test_prints_text_for_events_whose_text_becomes_context(
        self, shared: CommandLine, event: str
    ) -> None:
        """The text is framed for the model, and the mail is acked."""
        shared.send("h1", "one\ntwo\x1b[2J", sender="backend")
        done = shared.run("check", "--hook", "--name", "h1", text=hook(event))
        lines = done.stdout.splitlines()
        assert lines[0].startswith(
            "[Claude-Mailbox] A message from peer sessions: not from the user"
        )
        assert lines[1].startswith('From "backend", 20')
        assert lines[2:4] == ["  one", "  two\\x1b[2J"]
        assert lines[4].startswith("To answer: ")
        assert lines[4].endswith("--name h1 --body TEXT")
        with shared.client() as daemon:
            deleted = daemon.call(
                "DELETE", "/v1/mailbox", identity=Identity("h1"), query=("name=h1",)
            )
        assert deleted.value == {"deleted": True}

    @pytest.mark.parametrize("event", ["SubagentStop", "TaskCompleted", "PostToolBatch", "Stop"])
    def test_prints_json_for_events_that_need_it(self, shared: CommandLine, event: str) -> None:
        """It has the same text as additional context."""
        shared.send("h2", "hi")
        done = shared.run("check", "--hook", "--name", "h2", text=hook(event))
        output = json.loads(done.stdout)["hookSpecificOutput"]
        assert output["hookEventName"] == event
        assert "\n  hi\n" in output["additionalContext"]

    def test_finds_the_mailbox_of_the_session(self, shared: CommandLine) -> None:
        """The session id comes from the input or from a variable."""
        name = announce(shared, "aaaa1111-session")
        shared.send(name, "for the session")
        done = shared.run("check", "--hook", text=hook("UserPromptSubmit", "aaaa1111-session"))
        assert "  for the session" in done.stdout
        shared.send(name, "by the environment")
        done = shared.run(
            "check", "--hook", environment={"CLAUDE_CODE_SESSION_ID": "aaaa1111-session"}
        )
        assert "  by the environment" in done.stdout

    def test_shows_as_many_whole_messages_as_fit(self, shared: CommandLine) -> None:
        """Less than 10,000 characters; the rest waits and is counted."""
        for number in range(5):
            shared.send("h3", f"{number} " + "x" * 3000)
        done = shared.run("check", "--hook", "--name", "h3", text=hook("UserPromptSubmit"))
        assert len(done.stdout) < 10_000
        assert done.stdout.count('\nFrom "peer"') == 2
        assert "3 messages wait that did not fit here" in done.stdout
        assert shared.pending("h3") == 3

    def test_a_message_that_is_too_long_stays(self, shared: CommandLine) -> None:
        """It is announced, but neither cut nor taken."""
        shared.send("h4", "x" * 20_000)
        done = shared.run("check", "--hook", "--name", "h4", text=hook("UserPromptSubmit"))
        assert done.stdout.startswith("[Claude-Mailbox] 1 message waits that did not fit here.")
        assert shared.pending("h4") == 1

    def test_messages_that_escapes_make_too_long_are_put_back(self, shared: CommandLine) -> None:
        """They are shown at the next prompt."""
        for _ in range(3):
            shared.send("h5", "\x1b" * 2000)
        done = shared.run("check", "--hook", "--name", "h5", text=hook("UserPromptSubmit"))
        assert len(done.stdout) < 10_000
        assert "2 messages wait" in done.stdout
        assert shared.pending("h5") == 2

    def test_an_output_that_breaks_puts_the_mail_back(self, shared: CommandLine) -> None:
        """The exit code is 0 all the same."""
        shared.send("h6", "precious")
        with Path("/dev/full").open("w") as full:
            child = shared.spawn("check", "--hook", "--name", "h6", stdout=full)
            assert child.wait() == 0
        assert shared.bodies("h6") == ["precious"]


class TestWake:
    def test_writes_mail_to_standard_error_with_exit_code_2(self, shared: CommandLine) -> None:
        """That wakes the session."""
        shared.send("wake1", "wake up")
        done = shared.run("check", "--hook", "--wake", "--name", "wake1", text=hook("FileChanged"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "\n  wake up\n" in done.stderr
        assert shared.pending("wake1") == 0

    def test_writes_nothing_otherwise(self, shared: CommandLine) -> None:
        """Without mail, daemon or session the exit code is 0."""
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
    def test_without_a_daemon_there_is_one_hint(self, shared: CommandLine, event: str) -> None:
        """For the user if the model would go on because of it, else for the model."""
        done = shared.run(
            "check", "--hook", "--name", "a", "--url", "http://127.0.0.1:9", text=hook(event)
        )
        text = json.loads(done.stdout)["systemMessage"] if event == "Stop" else done.stdout
        assert done.returncode == 0
        assert done.stderr == ""
        assert text.strip() == (
            "[Claude-Mailbox] The mail daemon is not running: start it with 'claude-mailbox start'."
        )

    def test_never_connects_to_the_port(self, shared: CommandLine, tmp_path: Path) -> None:
        """While the daemon is down another user may listen there, and would reach the model."""
        (tmp_path / "mailbox.json").write_text(f'{{"port": {shared.process.port}}}')
        home = {"CLAUDE_MAILBOX_HOME": str(tmp_path)}
        done = shared.run("check", "--hook", "--name", "a", environment=home)
        assert "daemon is not running" in done.stdout

    @pytest.mark.parametrize(
        "text", ["", "not json", "[]", "{", '{"session_id": 5}', '{"session_id": ""}', "\0"]
    )
    def test_input_without_a_session_is_one_hint(self, shared: CommandLine, text: str) -> None:
        """If there is no --name either; whatever the input is."""
        done = shared.run("check", "--hook", text=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("[Claude-Mailbox] Give 'check --hook' a --name")

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 503 x\r\nContent-Length: 32\r\n\r\n"
            + b'{"error":"Full.","reason":"full"}'[:32],
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
            b"nonsense\r\n\r\n",
        ],
    )
    def test_an_error_of_the_daemon_is_one_hint(self, shared: CommandLine, response: bytes) -> None:
        """Also if the server is not a daemon of ours."""
        with Server(respond_with(response)) as server:
            done = shared.run("check", "--hook", "--name", "a", "--url", str(server.address))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("[Claude-Mailbox] ")
        assert done.stdout.count("\n") == 1

    def test_a_malformed_url_is_one_hint(self, shared: CommandLine) -> None:
        """The variable applies to all hooks."""
        done = shared.run(
            "check", "--hook", "--name", "a", environment={"CLAUDE_MAILBOX_URL": "nonsense"}
        )
        assert done.returncode == 0
        assert done.stdout.startswith("[Claude-Mailbox] The daemon's URL nonsense")


def test_an_unexpected_exception_is_one_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of ours must not fail the prompt."""

    def breaks(*_: object, **__: object) -> object:
        raise RuntimeError("a bug")

    monkeypatch.setattr(check, "Daemon", breaks)
    monkeypatch.setattr(hook_io.sys, "stdin", None)
    assert check.check_hook(name="a") == 0
    assert capsys.readouterr().out == (
        "[Claude-Mailbox] Mail cannot be read (RuntimeError: a bug).\n"
    )
