"""``demo`` runs real processes and leaves nothing behind."""

import contextlib
import json
import os
import pty
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox.cli.demo.sandbox import DemoFailed, Sandbox
from support.commandline import CommandLine, processes_in
from support.daemon import DaemonProcess


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files, where the tests look for what is left."""
    with tempfile.TemporaryDirectory(prefix="d-") as path:
        yield Path(path)


@pytest.fixture
def commandline(folder: Path) -> Iterator[CommandLine]:
    """The command line, which puts temporary files into that folder."""
    process = DaemonProcess()
    with CommandLine(process, {"TMPDIR": str(folder)}) as commandline:
        try:
            yield commandline
        finally:
            process.close()


def test_prints_a_timeline_or_one_document(commandline: CommandLine, folder: Path) -> None:
    """Exit code 0, and neither a process nor a file is left."""
    other = commandline.spawn("demo", "--json")
    done = commandline.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "The daemon answers",
        "[Claude-Mailbox] Mail from bob: The build is green, you can merge.",
        "alice's command has printed the answer: Yes.",
        "in the order they were sent",
        "[Claude-Mailbox] Mailbox renamed to 'alice-frontend'",
        "then kill -9 of the daemon",
        "Nothing was lost, nothing came twice.",
    ):
        assert words in done.stdout
    document = json.loads(other.communicate()[0])
    names = [scene["scene"] for scene in document["scenes"]]
    assert (document["ok"], names) == (True, ["start", "wake", "ask", "drain", "rename", "crash"])
    assert all(scene["milliseconds"] > 0 for scene in document["scenes"])
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(
    commandline: CommandLine, folder: Path, number: signal.Signals
) -> None:
    """Neither daemon nor watcher nor home folder."""
    child = commandline.spawn("demo")
    assert child.stdout is not None
    while "alice waits for mail" not in child.stdout.readline():
        pass
    child.send_signal(number)
    child.communicate()
    assert child.returncode == 130
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


def test_a_closed_pipe_leaves_nothing(commandline: CommandLine, folder: Path) -> None:
    """As in `claude-mailbox demo | head -1`."""
    read, write = os.pipe()
    os.close(read)
    child = commandline.spawn("demo", stdout=write)
    os.close(write)
    assert child.wait() == 1
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []


class TestSandbox:
    def test_a_condition_that_stays_false_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The demo fails, and says what is missing."""
        monkeypatch.setattr("claude_mailbox.cli.demo.sandbox._STEP_SECONDS", 0.0)
        with (
            Sandbox() as sandbox,
            pytest.raises(DemoFailed, match="no sign of the sun"),
        ):
            sandbox.wait_for("the sun", lambda: False)

    def test_a_command_that_fails_or_hangs_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The demo fails, and says which of the two it was."""
        with Sandbox() as sandbox:
            with pytest.raises(DemoFailed, match="exited with 2"):
                sandbox.output(sandbox.run("peek", "--name", "a", "--url", "http://127.0.0.1:9"))
            monkeypatch.setattr("claude_mailbox.cli.demo.sandbox._STEP_SECONDS", 0.01)
            with pytest.raises(DemoFailed, match="did not end"):
                sandbox.output(sandbox.run("serve", "--port", "0"))

    def test_a_daemon_that_does_not_start_is_an_error(self) -> None:
        """The demo fails at once."""
        with Sandbox() as sandbox:
            (Path(sandbox.home) / "mailbox.db").write_text("not a database at all " * 50)
            with pytest.raises(DemoFailed, match="its daemon did not start"):
                sandbox.start_daemon()


@pytest.mark.parametrize(("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours(
    commandline: CommandLine, variables: dict[str, str], is_coloured: bool
) -> None:
    """Unless its user wants none; two scenes show both."""
    master, slave = pty.openpty()
    child = commandline.spawn(
        "demo", stdout=slave, environment={"TERM": "xterm-256color", **variables}
    )
    os.close(slave)
    shown = b""
    while b"can merge." not in shown:
        shown += os.read(master, 65536)
    child.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(master, 65536):
            shown += part
    os.close(master)
    assert child.wait() in {0, 130}  # it may have come to its end
    assert (b"\x1b[32m" in shown) is is_coloured
    assert (b"\x1b[2m" in shown) is is_coloured
