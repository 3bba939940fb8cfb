"""The hooks of a session, as processes against a real daemon."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox import paths
from claude_mailbox.cli import app
from claude_mailbox.client.reach.api import Identity
from client.hooks.session import ONE_SHOT, Session, mailboxes
from support.commandline import CommandLine, until
from support.daemon import DaemonProcess


class TestDaemonDown:
    @pytest.fixture
    def down(self, daemon: DaemonProcess) -> Iterator[CommandLine]:
        """A home folder whose daemon was stopped; a daemon that a hook starts is stopped at the end."""
        daemon.stop()
        with CommandLine(daemon) as commandline:
            yield commandline
            commandline.run("stop")

    def test_the_start_of_a_session_starts_the_daemon(
        self, down: CommandLine, tmp_path: Path
    ) -> None:
        """The daemon keeps running, and the launch record is written."""
        session = Session(down, tmp_path)
        assert "additionalContext" in session.start()
        assert down.run("status").stdout.startswith("Running")
        has_record = (down.process.home / "command").exists()
        # There is no launch record if only PYTHONPATH finds the package.
        assert has_record is ("PYTHONPATH" not in down.environment)

    def test_a_daemon_that_cannot_start_is_one_hint(
        self, down: CommandLine, tmp_path: Path
    ) -> None:
        """For the user and the model, without a list of peers; exit code 0."""
        (down.process.home / "mailbox.json").write_text('{"port": "x"}')
        output = Session(down, tmp_path).announce()
        hint = output["systemMessage"]
        assert "'port'" in hint
        assert "/claude-mailbox:mailbox-doctor" in hint
        assert output["hookSpecificOutput"]["additionalContext"] == hint
        assert "\n" not in hint

    def test_the_end_of_a_session_does_not_start_the_daemon(
        self, down: CommandLine, tmp_path: Path
    ) -> None:
        """No session is left that needs it."""
        Session(down, tmp_path).end()
        assert down.run("status").stdout.startswith(("Stopped", "NotInstalled"))

    def test_a_prompt_gets_one_hint(self, down: CommandLine, tmp_path: Path) -> None:
        """The prompt is not blocked."""
        (line,) = Session(down, tmp_path).prompt().splitlines()
        assert "claude-mailbox start" in line

    def test_a_daemon_with_an_explicit_address_is_not_started(
        self, down: CommandLine, tmp_path: Path
    ) -> None:
        """It belongs to another home folder or another machine."""
        session = Session(down, tmp_path)
        output = session.announce(env={"CLAUDE_MAILBOX_URL": "http://127.0.0.1:9"})
        assert "http://127.0.0.1:9" in output["systemMessage"]


class TestDoorbell:
    def test_a_ring_wakes_the_session_with_its_mail(
        self, session: Session, shared: CommandLine
    ) -> None:
        """The hook takes the mail, and prints nothing the next time."""
        (bell,) = session.start()["watchPaths"]
        before = Path(bell).read_bytes()
        shared.send(session.name, "wake up")
        until(lambda: Path(bell).read_bytes() != before, "the ring")
        changed = {"hook_event_name": "FileChanged", "file_path": bell, "event": "change"}
        done = session.run("check", "--hook", "--wake", **changed)
        assert (done.returncode, done.stdout) == (2, "")
        assert "  wake up" in done.stderr
        done = session.run("check", "--hook", "--wake", **changed)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_changes_of_other_files_take_no_mail(
        self, session: Session, shared: CommandLine
    ) -> None:
        """Other plugins make Claude Code watch files, too."""
        session.start()
        shared.send(session.name, "not now")
        changed = {"hook_event_name": "FileChanged", "file_path": "/etc/hosts", "event": "change"}
        done = session.run("check", "--hook", "--wake", **changed)
        assert (done.returncode, done.stderr) == (0, "")
        assert shared.pending(session.name) == 1

    @pytest.mark.parametrize("event", ["FileChanged", "SubagentStop", "TaskCompleted"])
    def test_a_one_shot_run_takes_no_mail(
        self, session: Session, shared: CommandLine, event: str
    ) -> None:
        """Claude Code waits for the hook there, but discards its output."""
        session.start(env=ONE_SHOT)
        shared.send(session.name, "keep me")
        done = session.run("check", "--hook", "--wake", env=ONE_SHOT, hook_event_name=event)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert shared.pending(session.name) == 1

    @pytest.mark.parametrize("event", ["FileChanged", "CwdChanged"])
    def test_rearm_watches_the_doorbell_again(self, session: Session, event: str) -> None:
        """Another plugin may have replaced the list of watched files."""
        (bell,) = session.start()["watchPaths"]
        done = session.run("session-rearm", hook_event_name=event)
        assert json.loads(done.stdout) == {
            "hookSpecificOutput": {"hookEventName": event, "watchPaths": [bell]}
        }

    def test_rearm_prints_nothing_without_a_doorbell(self, session: Session) -> None:
        """Before the session is registered, and in one-shot runs."""
        assert session.run("session-rearm", hook_event_name="FileChanged").stdout == ""
        session.start()
        done = session.run("session-rearm", env=ONE_SHOT, hook_event_name="FileChanged")
        assert (done.returncode, done.stdout) == (0, "")


class TestEnd:
    def test_deletes_an_empty_mailbox(self, session: Session, shared: CommandLine) -> None:
        """And the doorbell file."""
        (bell,) = session.start()["watchPaths"]
        assert session.name in mailboxes(shared)
        session.end()
        assert session.name not in mailboxes(shared)
        assert not Path(bell).exists()

    def test_keeps_a_mailbox_with_mail(self, session: Session, shared: CommandLine) -> None:
        """If the session is resumed, it gets the mail."""
        session.start()
        shared.send(session.name, "see you")
        session.end()
        session.start(source="resume")
        assert "  see you" in session.prompt()


class TestClientHeaders:
    def test_client_headers_lead_to_the_session_that_calls(
        self, session: Session, shared: CommandLine
    ) -> None:
        """The daemon finds the session of the process that the headers name."""
        session.start()
        env = {"CLAUDE_CODE_MESSAGING_SOCKET": f"/tmp/cc-socks/{os.getpid()}.sock"}
        headers = json.loads(shared.run("client-headers", environment=env).stdout)
        key = headers.pop("X-Mailbox-Client")
        assert headers == {}
        with shared.client() as daemon:
            found = daemon.call("GET", "/v1/session", query=(f"client={key}",))
            assert found.value == {"sessionId": session.id, "name": session.name}


class TestInvalidInput:
    @pytest.mark.parametrize(
        "verb", ["session-announce", "session-end", "session-rearm", "session-tool-call"]
    )
    @pytest.mark.parametrize("text", ["", "{", "[]", '{"session_id": 7}', "\x00", "nonsense"])
    def test_invalid_input_is_never_a_failure(
        self, shared: CommandLine, verb: str, text: str
    ) -> None:
        """A session must not fail because a hook does not understand its input."""
        done = shared.run(verb, text=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "" or "session_id" in json.loads(done.stdout)["systemMessage"]

    def test_an_invalid_session_id_is_one_hint(self, shared: CommandLine) -> None:
        """With the sentence of the daemon."""
        done = shared.run("session-announce", text=json.dumps({"session_id": "a\nb"}))
        assert "sessionId" in json.loads(done.stdout)["systemMessage"]


@pytest.mark.parametrize("verb", ["session-announce", "session-end", "session-rearm"])
def test_hooks_import_no_slow_modules(session: Session, shared: CommandLine, verb: str) -> None:
    """The start and end of a session wait for hooks, and each of these modules takes milliseconds."""
    session.start()
    text = json.dumps({"session_id": session.id, "hook_event_name": "CwdChanged"})
    # Without `site`, which imports modules of its own.
    program = (
        "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); sys.argv[0] = 'claude-mailbox';"
        "import os; leave = os._exit;"
        "os._exit = lambda code: (print(*sys.modules, file=sys.stderr, flush=True), leave(code));"
        "from claude_mailbox.__main__ import main; main()"
    )
    source = str(Path(paths.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, source, verb],
        env=shared.environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "claude_mailbox.client.hooks.session" in loaded
    heavy = {"json", "re", "socket", "subprocess", "dataclasses", "typing", "http", "enum"}
    assert loaded & heavy == set()


@pytest.mark.parametrize(
    "verb",
    ["session-announce", "session-end", "session-rearm", "session-tool-call", "client-headers"],
)
def test_the_full_command_line_has_the_same_commands(
    verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """They do the same there, and have help."""
    assert app.main([verb]) == 0
    said = capfd.readouterr().out
    assert said == "" or isinstance(json.loads(said), dict)
    assert app.main([verb, "--help"]) == 0
    assert "hook" in capfd.readouterr().out.lower() or verb == "client-headers"


def test_rest_accepts_the_session_id_as_identity(session: Session, shared: CommandLine) -> None:
    """It stands for the mailbox of the session."""
    session.start()
    shared.send(session.name, "by id")
    with shared.client() as daemon:
        deliveries, _ = daemon.claim(Identity(session=session.id))
        daemon.release([d.lease for d in deliveries], Identity(session=session.id))
    assert [d.body for d in deliveries] == ["by id"]
