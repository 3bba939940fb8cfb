"""``statusline``: what waits, from a file that the daemon keeps."""

import json
from pathlib import Path

import pytest

from claude_mailbox.client.hooks.statusline import statusline
from support.commandline import CommandLine, until
from support.daemon import DaemonProcess

SESSION = "0e7c4a52-aaaa-4bbb-8ccc-1234567890ab"


@pytest.fixture
def line(daemon: DaemonProcess) -> CommandLine:
    """Commands, and a session with the mailbox ``mine``."""
    line = CommandLine(daemon)
    with line.client() as client:
        client.call("POST", "/v1/session", body={"sessionId": SESSION, "name": "mine"})
    return line


def shown(line: CommandLine, *arguments: str, session: str = SESSION) -> str:
    """Return what the command prints for a session."""
    given = json.dumps({"session_id": session, "cwd": "/x"})
    result = line.run("statusline", *arguments, text=given)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def await_shown(line: CommandLine, expected: str, *arguments: str, session: str = SESSION) -> None:
    """Wait until the command prints that; it runs again when the daemon's file has changed."""
    file = line.process.home / "status"
    seen: object = ()

    def is_shown() -> bool:
        nonlocal seen
        before, seen = seen, file.stat().st_mtime_ns if file.exists() else None
        return seen != before and shown(line, *arguments, session=session) == expected

    until(is_shown, repr(expected))


def test_tells_what_waits_for_the_session_and_for_the_user(line: CommandLine) -> None:
    """And nothing when nothing does; another session is told nothing of this one's mail."""
    assert shown(line) == ""
    for number in range(2):
        line.send("mine", f"message {number}")
    await_shown(line, "Mail: 2 unread\n")
    line.send("user", "hello")
    await_shown(line, "Mail: 2 unread, 1 for you\n")
    assert shown(line, session="another") == "Mail: 1 for you\n"

    line.claim("mine")

    await_shown(line, "Mail: 1 for you\n")


def test_tells_of_open_questions_and_of_held_messages() -> None:
    """Read or not, until they are answered, and until they are released."""
    with DaemonProcess({"guardAfter": 1, "holdAfter": 2}) as daemon, CommandLine(daemon) as line:
        with line.client() as client:
            for session, name in ((SESSION, "mine"), ("other-id", "other")):
                client.call("POST", "/v1/session", body={"sessionId": session, "name": name})
        line.run("send", "--from", "peer", "--to", "mine", "--ask", "600", "--body", "May I?")
        line.run("send", "--from", "mine", "--to", "user", "--ask", "600", "--body", "Shall I?")
        await_shown(line, "Mail: 1 unread, 1 question, 1 for you, 1 question for you\n")
        line.run("check", "--name", "mine")
        for _ in range(2):
            line.run("send", "--from", "other", "--to", "mine", "--body", "thanks")
        await_shown(line, "Mail: 1 unread, 1 question, 1 for you, 1 question for you, 1 held\n")
        line.run("reply", "--name", "mine", "1", "--body", "Yes.")
        line.run("held", "release")
        await_shown(line, "Mail: 2 unread, 1 for you, 1 question for you\n")


def test_a_mailbox_may_be_named(line: CommandLine) -> None:
    """For a mailbox that no session has, there is nothing to tell."""
    line.send("mine", "x")
    await_shown(line, "Mail: 1 unread\n", "--name", "mine", session="another")


def test_a_daemon_that_is_gone_tells_nothing(line: CommandLine) -> None:
    """Neither after its end nor after it was killed: its counts would be old."""
    line.send("mine", "x")
    await_shown(line, "Mail: 1 unread\n")
    line.process.kill()
    assert shown(line) == ""
    line.process.start()
    await_shown(line, "Mail: 1 unread\n")
    line.process.stop()
    assert shown(line) == ""


def test_without_the_command_there_is_no_file(daemon: DaemonProcess) -> None:
    """So nobody pays for it."""
    with CommandLine(daemon) as line:
        line.send("a", "x")
        assert not (daemon.home / "status").exists()


def test_garbage_in_the_file_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A status line never shows an error."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    for content in ("", "x", "1\n\n\t", "1\t0\na\tb\tc\n", "1\t0\na\tb\tc\td\te\n", "\0"):
        (tmp_path / "status").write_text(content)
        assert statusline(name="a") == 0
    assert capfd.readouterr() == ("", "")
