"""``demo`` shows the real thing and leaves nothing behind."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox.cli.stage import DemoFailed, Stage
from support.commandline import CommandLine, processes_in
from support.daemon import DaemonProcess


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files, so that what is left in it shows."""
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        yield Path(folder)


@pytest.fixture
def commandline(place: Path) -> Iterator[CommandLine]:
    """The command line, with that folder."""
    process = DaemonProcess()
    with CommandLine(process, {"TMPDIR": str(place)}) as commandline:
        try:
            yield commandline
        finally:
            process.close()


def test_plays_to_the_end(commandline: CommandLine, place: Path) -> None:
    """A timeline with times, or one document; exit code 0, no process, no file."""
    other = commandline.spawn("demo", "--json")
    done = commandline.run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "The daemon answers",
        "[Claude-Mailbox] Mail from bob: The build is green, you can merge.",
        "in the order in which they were sent",
        "[Claude-Mailbox] Mailbox renamed to 'alice-frontend'",
        "the daemon is killed with -9",
        "Nothing was lost, nothing came twice.",
    ):
        assert words in done.stdout
    document = json.loads(other.communicate()[0])
    names = [scene["scene"] for scene in document["scenes"]]
    assert (document["ok"], names) == (True, ["start", "wake", "drain", "rename", "crash"])
    assert all(scene["milliseconds"] > 0 for scene in document["scenes"])
    assert list(place.iterdir()) == []
    assert processes_in(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(
    commandline: CommandLine, place: Path, number: signal.Signals
) -> None:
    """In the middle of it: no daemon, no watcher, no folder."""
    child = commandline.spawn("demo")
    assert child.stdout is not None
    while "alice waits for mail" not in child.stdout.readline():
        pass
    child.send_signal(number)
    child.communicate()
    assert child.returncode == 130
    assert list(place.iterdir()) == []
    assert processes_in(place) == []


def test_a_closed_pipe_leaves_nothing(commandline: CommandLine, place: Path) -> None:
    """`claude-mailbox demo | head -1`."""
    read, write = os.pipe()
    os.close(read)
    child = commandline.spawn("demo", stdout=write)
    os.close(write)
    assert child.wait() == 1
    assert list(place.iterdir()) == []
    assert processes_in(place) == []


class TestStage:
    def test_what_does_not_come_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The demo does not say that all is well when it is not."""
        monkeypatch.setattr("claude_mailbox.cli.stage._PATIENCE_SECONDS", 0.0)
        with (
            Stage(lambda _: None) as stage,
            pytest.raises(DemoFailed, match="the sun did not come"),
        ):
            stage.wait_for("the sun", lambda: False)

    def test_a_command_that_fails_or_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its exit code, or that it did not end."""
        with Stage(lambda _: None) as stage:
            with pytest.raises(DemoFailed, match="ended with 2"):
                stage.output(stage.run("peek", "--name", "a", "--url", "http://127.0.0.1:9"))
            monkeypatch.setattr("claude_mailbox.cli.stage._PATIENCE_SECONDS", 0.01)
            with pytest.raises(DemoFailed, match="did not end"):
                stage.output(stage.run("serve", "--port", "0"))

    def test_a_daemon_that_does_not_start(self) -> None:
        """The demo ends at once."""
        with Stage(lambda _: None) as stage:
            (Path(stage.home) / "mailbox.db").write_text("not a database at all " * 50)
            with pytest.raises(DemoFailed, match="its daemon did not start"):
                stage.start_daemon()
