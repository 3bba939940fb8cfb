"""``top``, in a terminal and in a pipe."""

import contextlib
import json
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from typing import Any

import pytest
from rich.console import Console

from claude_mailbox.cli.top.view import View
from support.commandline import CommandLine, until
from support.daemon import PATIENCE_SECONDS, DaemonProcess


class Screen:
    """A terminal in which ``top`` runs."""

    def __init__(self, line: CommandLine) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.process = line.spawn(
            "top", environment={"TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self._written = ""

    def close(self) -> None:
        os.close(self._master)

    def press(self, keys: str) -> None:
        """Type; forget what was written before."""
        self._written = ""
        os.write(self._master, keys.encode())

    def wait_for(self, pattern: str) -> None:
        """Wait until that was written."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self._written):
            assert time.monotonic() < deadline, self._written[-3000:]
            if select.select([self._master], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    self._written += os.read(self._master, 65536).decode(errors="replace")


@pytest.fixture
def line(daemon: DaemonProcess) -> Iterator[CommandLine]:
    """Commands, with a session and some mail."""
    with CommandLine(daemon) as line:
        with line.client() as client:
            client.call("POST", "/v1/session", body={"sessionId": "s-1", "name": "shop-1"})
            event = {"sessionId": "s-1", "state": "waiting", "project": "shop"}
            client.call("POST", "/v1/session/event", body=event)
        line.send("shop-1", "are you there?")
        yield line


def test_shows_who_is_there_and_what_goes_by(line: CommandLine) -> None:
    """Live; q ends it and leaves the terminal as it was."""
    screen = Screen(line)
    try:
        screen.wait_for("shop-1.*waits for you")
        screen.wait_for("are you there")
        line.send("shop-1", "a second one")
        screen.wait_for("a second one")
        screen.press("/nobody\r")
        screen.wait_for("only 'nobody'")
        screen.press("q")
        screen.wait_for(re.escape("\x1b[?1049l"))
        assert screen.process.wait(PATIENCE_SECONDS) == 0
    finally:
        screen.close()


def test_held_messages_are_shown_and_released() -> None:
    """By a key, after a question: any other key than y leaves them."""
    with DaemonProcess({"guardAfter": 1, "holdAfter": 2}) as daemon, CommandLine(daemon) as line:
        with line.client() as client:
            for number, name in enumerate(("one-1", "two-2")):
                client.call("POST", "/v1/session", body={"sessionId": f"s-{number}", "name": name})
        for _ in range(2):
            line.run("send", "--from", "one-1", "--to", "two-2", "--body", "thanks")
        screen = Screen(line)
        try:
            screen.wait_for("Held: 1 message between 'one-1' and 'two-2'")
            screen.press("l")
            screen.wait_for(r"\? y: yes")
            screen.press("n")
            screen.wait_for("quit")
            assert line.pending("two-2") == 1
            screen.press("ly")
            until(lambda: line.pending("two-2") == 2, "the held message in its line")
            screen.press("q")
            assert screen.process.wait(PATIENCE_SECONDS) == 0
        finally:
            screen.close()


def test_in_a_pipe_it_prints_lines(line: CommandLine) -> None:
    """One for each message, as it comes, over a restart of the daemon; nothing is taken."""
    child = line.spawn("top")
    assert child.stdout is not None
    assert re.fullmatch(r"\d\d:\d\d:\d\d peer → shop-1  are you there\?\n", child.stdout.readline())

    line.process.restart(same_port=True)
    line.send("shop-1", "after the restart")

    assert "after the restart" in child.stdout.readline()
    assert line.pending("shop-1") == 2


def test_json_is_one_document_for_each_message(line: CommandLine) -> None:
    """One object a line."""
    child = line.spawn("top", "--json")
    assert child.stdout is not None

    message = json.loads(child.stdout.readline())

    assert (message["from"], message["to"], message["state"]) == ("peer", "shop-1", "waiting")


def test_without_a_daemon_it_says_so(line: CommandLine) -> None:
    """With the exit code for that."""
    line.process.stop()

    assert line.run("top").returncode == 2


class TestView:
    """What is shown, without a terminal."""

    ROWS: tuple[dict[str, Any], ...] = (
        {"name": "a", "state": "idle", "pending": 0, "lastSeenAt": None},
        {"name": "b", "state": "working", "pending": 2, "lastSeenAt": "2026-11-27T12:00:00.000Z"},
    )

    def text(self, view: View, *, height: int = 20) -> str:
        console = Console(width=80, height=height, file=open(os.devnull, "w"), record=True)  # noqa: SIM115
        message = {
            "id": 1,
            "from": "a",
            "to": "b",
            "body": "x\x1b[2J",
            "sentAt": "2026-11-27T12:00:00Z",
        }
        console.print(view.render(self.ROWS, [message] * 50, height, held=[], is_connected=True))
        console.file.close()
        return console.export_text()

    def test_fits_the_terminal(self) -> None:
        """However much there is to show."""
        for height in (8, 20, 60):
            assert len(self.text(View(), height=height).splitlines()) <= height

    def test_s_goes_through_the_states(self) -> None:
        """And back to all."""
        view = View()
        shown = []
        for _ in range(5):
            view.press("s")
            shown.append([row["name"] for row in view.mailboxes(self.ROWS)])

        assert shown == [["b"], ["a"], [], [], ["a", "b"]]

    def test_control_characters_are_shown(self) -> None:
        """A body does not clear the screen."""
        assert "x\\x1b[2J" in self.text(View())
