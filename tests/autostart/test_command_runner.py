"""Running the platform's commands."""

import os
import sys
from pathlib import Path

import pytest

from claude_mailbox.autostart.command_runner import CommandResult, CommandRunner
from claude_mailbox.errors import AutostartError


def test_run_returns_status_output_and_errors() -> None:
    """Invalid UTF-8 is replaced, and the reason is on one line."""
    code = "import os, sys; os.write(1, b'a\\xff'); sys.exit('no\\n way.')"
    done = CommandRunner().run([sys.executable, "-c", code])
    assert (done.code, done.output) == (1, "a\ufffd")
    assert done.reason == "no way"


def test_run_adds_variables() -> None:
    """The program also has ours."""
    code = "import os; print(os.environ['XYZ'], 'PATH' in os.environ)"
    done = CommandRunner().run([sys.executable, "-c", code], {"XYZ": "1"})
    assert done.output.split() == ["1", "True"]


@pytest.mark.parametrize("program", ["/nonexistent/launchctl", "/"])
def test_a_program_that_cannot_be_run_is_an_error(program: str) -> None:
    """The status is 127, as in a shell, and the reason names the program."""
    done = CommandRunner().run([program])
    assert done.code == 127
    assert program in done.reason
    with pytest.raises(AutostartError, match="Cannot start"):
        CommandRunner().spawn([program])


def test_run_checked_fails_with_the_reason() -> None:
    """If the program writes nothing, the reason is its exit status."""
    with pytest.raises(AutostartError, match=r"failed: exit status 3\.$"):
        CommandRunner().run_checked([sys.executable, "-c", "raise SystemExit(3)"])
    assert CommandRunner().run_checked([sys.executable, "-c", ""]) == CommandResult(0)


def test_spawn_starts_a_process_in_a_session_of_its_own(tmp_path: Path) -> None:
    """It does not end with our terminal."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"import os; open({str(fifo)!r}, 'w').write(str(os.getpid() == os.getsid(0)))"
    CommandRunner().spawn([sys.executable, "-c", code])
    assert fifo.read_text() == "True"


def test_run_kills_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a failure."""
    monkeypatch.setattr("claude_mailbox.autostart.command_runner._COMMAND_SECONDS", 0.01)
    done = CommandRunner().run(
        [sys.executable, "-c", "import sys; sys.stdin = open('/dev/zero').read()"]
    )
    assert (done.code, done.reason) == (-1, "no answer within 0.01 seconds")
