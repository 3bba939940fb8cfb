"""Windows: the form of the task, and the commands, against programs that are not there."""

import dataclasses
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autostart.fakes import FakeResident, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import Done
from claude_mailbox.autostart.task import is_expanded, task_xml
from claude_mailbox.autostart.windows import Windows, windowless
from claude_mailbox.errors import AutostartError

SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
RUN_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
PYTHON = r"C:\Users\Änne B\uv\tools\claude-mailbox\Scripts\python.exe"
DENIED = Done(1, complaint="ERROR: Access is denied.\n")
MISSING = Done(1, complaint="ERROR: The system cannot find the file specified.\n")
SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


class FakeWindows(FakeRunner):
    """Answers as schtasks, reg, sc and whoami do, for a user without an administrator's rights.

    Attributes:
        has_policy: whether Group Policy keeps the user from making tasks.
        task: the definition of the task.
        run_key: the value in the Run key.
    """

    def __init__(self, resident: FakeResident) -> None:
        super().__init__()
        self.resident = resident
        self.has_policy = False
        self.task: bytes | None = None
        self.run_key: str | None = None

    def do_whoami(self, *_arguments: str) -> Done:
        return Done(0, f'"pc\\änne b","{SID}"\r\n')

    def do_schtasks(self, verb: str, _tn: str, name: str, *rest: str) -> Done:
        assert (_tn, name) == ("/TN", "claude-mailbox")
        if verb == "/Create":
            if self.has_policy:
                return DENIED
            assert (rest[0], rest[2]) == ("/XML", "/F")
            self.task = Path(rest[1]).read_bytes()
            return Done(0, 'SUCCESS: The scheduled task "claude-mailbox" was created.\r\n')
        if self.task is None:
            return MISSING
        if verb == "/Query" and "/V" in rest:
            result = "267009" if self.resident.daemon else "0"
            return Done(0, f'"PC","\\claude-mailbox","N/A","Wird ausgeführt","x","{result}"\r\n')
        if verb == "/Run":
            self.resident.daemon = Running(100)
        if verb == "/Delete":
            assert rest == ("/F",)
            self.task = None
        return Done(0)

    def do_reg(self, verb: str, key: str, _v: str, name: str, *rest: str) -> Done:
        assert (key, _v, name) == (RUN_KEY, "/v", "claude-mailbox")
        if verb == "add":
            assert (*rest[:3], rest[4]) == ("/t", "REG_SZ", "/d", "/f")
            self.run_key = rest[3]
            return Done(0)
        if self.run_key is None:
            return MISSING
        if verb == "delete":
            self.run_key = None
            return Done(0)
        return Done(0, f"\r\n{key}\r\n    {name}    REG_SZ    {self.run_key}\r\n\r\n")

    def spawn(self, command: list[str]) -> None:
        super().spawn(command)
        self.resident.daemon = Running(200)

    def changes(self) -> list[list[str]]:
        """Return the commands that changed something, and forget all."""
        told = self.took()
        return [c for c in told if c[1] not in ("/Query", "query", "/user")]


@pytest.fixture
def windows(program: Program) -> Windows:
    """The manager above a Windows that is not there."""
    program = dataclasses.replace(program, python=PYTHON, environment={})
    resident = FakeResident()
    return Windows(program, FakeWindows(resident), resident)


def definition(windows: Windows) -> str:
    """Return the path of the file that keeps the task's definition."""
    return os.path.join(windows.program.home, "autostart.xml")


class TestTaskXml:
    @pytest.fixture
    def task(self) -> ElementTree.Element:
        """A task with letters that XML has uses for."""
        content = task_xml(SID, r"C:\a & <b>\pythonw.exe", "-P \"ü 📬 %x\" '$y'")
        assert content.startswith(b"\xff\xfe")
        return ElementTree.fromstring(content)

    def test_runs_what_was_meant(self, task: ElementTree.Element) -> None:
        """Command and arguments arrive letter for letter."""
        action = task.find(f"{SPACE}Actions/{SPACE}Exec")
        assert action.findtext(f"{SPACE}Command") == r"C:\a & <b>\pythonw.exe"
        assert action.findtext(f"{SPACE}Arguments") == "-P \"ü 📬 %x\" '$y'"

    def test_needs_no_administrator(self, task: ElementTree.Element) -> None:
        """It runs at this user's logon, as this user, with this user's rights."""
        trigger = task.find(f"{SPACE}Triggers/{SPACE}LogonTrigger")
        principal = task.find(f"{SPACE}Principals/{SPACE}Principal")
        assert trigger.findtext(f"{SPACE}UserId") == SID
        assert principal.findtext(f"{SPACE}UserId") == SID
        assert principal.findtext(f"{SPACE}LogonType") == "InteractiveToken"
        assert principal.findtext(f"{SPACE}RunLevel") == "LeastPrivilege"
        assert principal.get("id") == task.find(f"{SPACE}Actions").get("Context")

    def test_nothing_ends_it(self, task: ElementTree.Element) -> None:
        """By default a task ends after three days, and on battery."""
        settings = task.find(f"{SPACE}Settings")
        found = {child.tag.removeprefix(SPACE): child.text for child in settings}
        assert found["ExecutionTimeLimit"] == "PT0S"
        assert found["DisallowStartIfOnBatteries"] == found["StopIfGoingOnBatteries"] == "false"
        assert found["MultipleInstancesPolicy"] == "IgnoreNew"
        retry = settings.find(f"{SPACE}RestartOnFailure")
        assert 1 <= int(retry.findtext(f"{SPACE}Count")) <= 255
        assert retry.findtext(f"{SPACE}Interval") == "PT1M"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("C:\\%temp%\\x", True),
            ("C:\\a%TEMP%", True),
            ("50% of %TEMP%", True),
            ("C:\\100%\\%none%", False),
            ("$(Arg0)", True),
            ("$HOME", False),
        ],
    )
    def test_what_windows_would_replace(self, text: str, expected: bool) -> None:
        """There is no escape for a variable that exists, and none is needed for others."""
        assert is_expanded(text, {"Temp": "x"}) == expected


class TestInstall:
    def test_commands(self, windows: Windows) -> None:
        """Register the task and run it."""
        outcome = windows.install()
        assert (outcome.state, outcome.entry) == ("installed", "scheduled task 'claude-mailbox'")
        assert outcome.logs == os.path.join(windows.program.home, "daemon.log")
        assert windows.runner.changes() == [
            ["schtasks", "/Create", "/TN", "claude-mailbox", "/XML", definition(windows), "/F"],
            ["schtasks", "/Run", "/TN", "claude-mailbox"],
        ]
        task = ElementTree.fromstring(windows.runner.task)
        arguments = task.findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}Arguments")
        assert arguments == "-P -m claude_mailbox.autostart.keeper --port 0"

    def test_the_home_folder_is_an_argument(self, windows: Windows) -> None:
        """A task has no environment of its own."""
        moved = {"CLAUDE_MAILBOX_HOME": r"D:\my mail"}
        windows.program = dataclasses.replace(windows.program, environment=moved)
        windows.install()
        task = ElementTree.fromstring(windows.runner.task)
        arguments = task.findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}Arguments")
        assert '--home "D:\\my mail" --port 0' in arguments

    def test_the_same_again_runs_no_command(self, windows: Windows) -> None:
        """What is as it should be is left alone."""
        windows.install()
        windows.runner.took()
        assert windows.install().state == "unchanged"
        assert windows.runner.changes() == []

    def test_a_changed_one_is_registered_and_restarted(self, windows: Windows) -> None:
        """The keeper ends with the daemon, and the new one starts."""
        windows.install()
        windows.runner.took()
        windows.program = dataclasses.replace(windows.program, flags=("--port", "1"))
        assert windows.install().state == "updated"
        assert windows.resident.stopped == [100]
        verbs = [command[1] for command in windows.runner.changes()]
        assert verbs == ["/Create", "/End", "/Run"]

    def test_a_daemon_started_by_hand_is_handed_over(self, windows: Windows) -> None:
        """It ends, and the task starts the next."""
        windows.resident.daemon = Running(7)
        assert windows.install().daemon == Running(100)
        assert windows.resident.stopped == [7]

    def test_the_run_key_stands_in_for_a_forbidden_task(self, windows: Windows) -> None:
        """Where Group Policy blocks schtasks, the daemon still starts at logon, and now."""
        windows.runner.has_policy = True
        outcome = windows.install()
        assert outcome.entry == rf"Run key {RUN_KEY}\claude-mailbox"
        assert "Access is denied" in outcome.notes[0]
        keeper = ["-P", "-m", "claude_mailbox.autostart.keeper", "--port", "0"]
        assert windows.runner.run_key == f'"{PYTHON}" {" ".join(keeper)}'
        assert windows.runner.spawned == [[PYTHON, *keeper]]
        assert not os.path.exists(definition(windows))
        assert windows.install().state == "unchanged"

    def test_the_run_key_goes_when_a_task_can_be_made(self, windows: Windows) -> None:
        """Two entries would start it twice."""
        windows.runner.has_policy = True
        windows.install()
        windows.runner.has_policy = False
        assert windows.install().state == "installed"
        assert windows.runner.run_key is None
        assert windows.runner.task is not None

    def test_the_run_key_has_a_limit(self, windows: Windows) -> None:
        """Windows would ignore a longer command without a word."""
        windows.runner.has_policy = True
        flags = ("--db-path", "C:\\" + 250 * "x")
        windows.program = dataclasses.replace(windows.program, flags=flags)
        with pytest.raises(AutostartError, match="at most 260 characters"):
            windows.install()
        assert not windows.installed()

    def test_a_path_that_windows_would_replace_is_no_task(
        self, windows: Windows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The Run key takes it, because its kind of value is not expanded."""
        monkeypatch.setenv("TEMP", "x")
        flags = ("--db-path", r"C:\%TEMP%\mail.db")
        windows.program = dataclasses.replace(windows.program, flags=flags)
        outcome = windows.install()
        assert r"Windows would replace the %NAME% or $(Arg) in C:\%TEMP%" in outcome.notes[0]
        assert r"C:\%TEMP%\mail.db" in windows.runner.run_key

    def test_a_checkout_is_refused(self, windows: Windows, home: Path) -> None:
        """A task cannot set PYTHONPATH."""
        found = {"PYTHONPATH": "/src"}
        windows.program = dataclasses.replace(windows.program, environment=found)
        with pytest.raises(AutostartError, match="install it first"):
            windows.install()
        assert list(home.iterdir()) == []


class TestWindow:
    def test_pythonw_is_taken_where_it_is(self, tmp_path: Path) -> None:
        """It is the interpreter without a console."""
        python, pythonw = tmp_path / "python.exe", tmp_path / "pythonw.exe"
        assert windowless(str(python)) == str(python)
        pythonw.touch()
        assert windowless(str(python)) == str(pythonw)
        assert windowless(str(tmp_path / "Python.EXE")) == str(pythonw)

    def test_a_window_that_stays_is_said(self, windows: Windows) -> None:
        """Without pythonw the console is there to be seen."""
        assert any("console window" in note for note in windows.install().notes)


class TestUninstall:
    def test_leaves_no_trace(self, windows: Windows) -> None:
        """Daemon, task and definition go."""
        windows.install()
        windows.runner.took()
        assert windows.uninstall().state == "removed"
        assert windows.runner.changes() == [
            ["schtasks", "/End", "/TN", "claude-mailbox"],
            ["schtasks", "/Delete", "/TN", "claude-mailbox", "/F"],
        ]
        assert windows.resident.stopped == [100]
        assert not os.path.exists(definition(windows))
        assert windows.uninstall().state == "absent"

    def test_takes_the_run_key_too(self, windows: Windows) -> None:
        """Whichever it was."""
        windows.runner.has_policy = True
        windows.install()
        windows.runner.took()
        assert windows.uninstall().state == "removed"
        assert windows.runner.changes()[-1] == [
            *("reg", "delete", RUN_KEY, "/v", "claude-mailbox", "/f")
        ]
        assert not windows.installed()
