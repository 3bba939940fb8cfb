"""Windows: the scheduled task and the Run key, with fake commands."""

import dataclasses
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

import claude_mailbox
from autostart.fakes import FakeHomeDaemon, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.command_runner import CommandResult
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.windows.logon import WindowsLogon, windowless
from claude_mailbox.autostart.windows.scheduled_task import has_variable, task_xml
from claude_mailbox.errors import AutostartError

SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
RUN_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"
PYTHON = r"C:\Users\Änne B\uv\tools\claude-mailbox\Scripts\python.exe"
DENIED = CommandResult(1, errors="ERROR: Access is denied.\n")
MISSING = CommandResult(1, errors="ERROR: The system cannot find the file specified.\n")
SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


class FakeWindows(FakeRunner):
    """Answers like schtasks, reg, sc and whoami, for a user who is not an administrator.

    Attributes:
        has_policy: whether Group Policy forbids tasks.
        task: the definition of the task.
        run_key: the value in the Run key.
    """

    def __init__(self, home_daemon: FakeHomeDaemon) -> None:
        super().__init__()
        self.home_daemon = home_daemon
        self.has_policy = False
        self.task: bytes | None = None
        self.run_key: str | None = None

    def do_whoami(self, *_arguments: str) -> CommandResult:
        return CommandResult(0, f'"pc\\änne b","{SID}"\r\n')

    def do_schtasks(self, verb: str, _tn: str, name: str, *rest: str) -> CommandResult:
        assert (_tn, name) == ("/TN", "claude-mailbox")
        if verb == "/Create":
            if self.has_policy:
                return DENIED
            assert (rest[0], rest[2]) == ("/XML", "/F")
            self.task = Path(rest[1]).read_bytes()
            return CommandResult(0, 'SUCCESS: The scheduled task "claude-mailbox" was created.\r\n')
        if self.task is None:
            return MISSING
        if verb == "/Query" and "/V" in rest:
            result = "267009" if self.home_daemon.daemon else "0"
            return CommandResult(
                0, f'"PC","\\claude-mailbox","N/A","Wird ausgeführt","x","{result}"\r\n'
            )
        if verb == "/Run":
            self.home_daemon.daemon = RunningDaemon(100)
        if verb == "/Delete":
            assert rest == ("/F",)
            self.task = None
        return CommandResult(0)

    def do_reg(self, verb: str, key: str, _v: str, name: str, *rest: str) -> CommandResult:
        assert (key, _v, name) == (RUN_KEY, "/v", "claude-mailbox")
        if verb == "add":
            assert (*rest[:3], rest[4]) == ("/t", "REG_SZ", "/d", "/f")
            self.run_key = rest[3]
            return CommandResult(0)
        if self.run_key is None:
            return MISSING
        if verb == "delete":
            self.run_key = None
            return CommandResult(0)
        return CommandResult(0, f"\r\n{key}\r\n    {name}    REG_SZ    {self.run_key}\r\n\r\n")

    def spawn(self, command: list[str]) -> None:
        super().spawn(command)
        self.home_daemon.daemon = RunningDaemon(200)

    def changes(self) -> list[list[str]]:
        """Return the commands that changed something, and clear the record."""
        commands = self.pop_commands()
        return [c for c in commands if c[1] not in ("/Query", "query", "/user")]


@pytest.fixture
def windows(program: Program) -> WindowsLogon:
    """The manager with a fake Windows."""
    program = dataclasses.replace(program, python=PYTHON, environment={})
    home_daemon = FakeHomeDaemon()
    return WindowsLogon(program, FakeWindows(home_daemon), home_daemon)


def definition(windows: WindowsLogon) -> str:
    """Return the path of the file with the definition of the task."""
    return os.path.join(windows.program.home, "autostart.xml")


class TestTaskXml:
    @pytest.fixture
    def task(self) -> ElementTree.Element:
        """A task with characters that have a meaning in XML."""
        content = task_xml(SID, r"C:\a & <b>\pythonw.exe", "-P \"ü 📬 %x\" '$y'")
        assert content.startswith(b"\xff\xfe")
        return ElementTree.fromstring(content)

    def test_has_command_and_arguments(self, task: ElementTree.Element) -> None:
        """With any characters."""
        action = task.find(f"{SPACE}Actions/{SPACE}Exec")
        assert action.findtext(f"{SPACE}Command") == r"C:\a & <b>\pythonw.exe"
        assert action.findtext(f"{SPACE}Arguments") == "-P \"ü 📬 %x\" '$y'"

    def test_needs_no_administrator(self, task: ElementTree.Element) -> None:
        """It runs when the user logs on, with the rights of the user."""
        trigger = task.find(f"{SPACE}Triggers/{SPACE}LogonTrigger")
        principal = task.find(f"{SPACE}Principals/{SPACE}Principal")
        assert trigger.findtext(f"{SPACE}UserId") == SID
        assert principal.findtext(f"{SPACE}UserId") == SID
        assert principal.findtext(f"{SPACE}LogonType") == "InteractiveToken"
        assert principal.findtext(f"{SPACE}RunLevel") == "LeastPrivilege"
        assert principal.get("id") == task.find(f"{SPACE}Actions").get("Context")

    def test_has_no_time_limit(self, task: ElementTree.Element) -> None:
        """By default a task ends after three days, and does not run on battery."""
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
    def test_variables_in_a_path(self, text: str, expected: bool) -> None:
        """Windows replaces variables that exist, and knows no escape for them."""
        assert has_variable(text, {"Temp": "x"}) == expected


class TestInstall:
    def test_registers_and_runs_the_task(self, windows: WindowsLogon) -> None:
        """The task runs the supervisor."""
        outcome = windows.install()
        assert (outcome.state, outcome.entry) == ("installed", "scheduled task 'claude-mailbox'")
        assert outcome.logs == os.path.join(windows.program.home, "daemon.log")
        assert windows.runner.changes() == [
            ["schtasks", "/Create", "/TN", "claude-mailbox", "/XML", definition(windows), "/F"],
            ["schtasks", "/Run", "/TN", "claude-mailbox"],
        ]
        task = ElementTree.fromstring(windows.runner.task)
        arguments = task.findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}Arguments")
        assert arguments == "-E -P -m claude_mailbox.autostart.windows.supervisor --port 0"

    def test_the_home_folder_is_an_argument(self, windows: WindowsLogon) -> None:
        """A task cannot set variables."""
        moved = {"CLAUDE_MAILBOX_HOME": r"D:\my mail"}
        windows.program = dataclasses.replace(windows.program, environment=moved)
        windows.install()
        task = ElementTree.fromstring(windows.runner.task)
        arguments = task.findtext(f"{SPACE}Actions/{SPACE}Exec/{SPACE}Arguments")
        assert '--home "D:\\my mail" --port 0' in arguments

    def test_a_second_install_changes_nothing(self, windows: WindowsLogon) -> None:
        """No command is run that changes anything."""
        windows.install()
        windows.runner.pop_commands()
        assert windows.install().state == "unchanged"
        assert windows.runner.changes() == []

    def test_a_changed_task_is_registered_and_restarted(self, windows: WindowsLogon) -> None:
        """The supervisor ends with the daemon, and the new one starts."""
        windows.install()
        windows.runner.pop_commands()
        windows.program = dataclasses.replace(windows.program, flags=("--port", "1"))
        assert windows.install().state == "updated"
        assert windows.home_daemon.stopped == [100]
        verbs = [command[1] for command in windows.runner.changes()]
        assert verbs == ["/Create", "/End", "/Run"]

    def test_stops_a_daemon_that_was_started_by_hand(self, windows: WindowsLogon) -> None:
        """Then the task starts one."""
        windows.home_daemon.daemon = RunningDaemon(7)
        assert windows.install().daemon == RunningDaemon(100)
        assert windows.home_daemon.stopped == [7]

    def test_uses_the_run_key_if_tasks_are_forbidden(self, windows: WindowsLogon) -> None:
        """The daemon starts now, and at logon."""
        windows.runner.has_policy = True
        outcome = windows.install()
        assert outcome.entry == rf"Run key {RUN_KEY}\claude-mailbox"
        assert "Access is denied" in outcome.notes[0]
        supervisor = [
            "-E",
            "-P",
            "-m",
            "claude_mailbox.autostart.windows.supervisor",
            "--port",
            "0",
        ]
        assert windows.runner.run_key == f'"{PYTHON}" {" ".join(supervisor)}'
        assert windows.runner.spawned == [[PYTHON, *supervisor]]
        assert not os.path.exists(definition(windows))
        assert windows.install().state == "unchanged"

    def test_a_task_replaces_the_run_key(self, windows: WindowsLogon) -> None:
        """With both, Windows would start the daemon twice."""
        windows.runner.has_policy = True
        windows.install()
        windows.runner.has_policy = False
        assert windows.install().state == "installed"
        assert windows.runner.run_key is None
        assert windows.runner.task is not None

    def test_a_command_that_is_too_long_for_the_run_key(self, windows: WindowsLogon) -> None:
        """Windows would silently ignore it."""
        windows.runner.has_policy = True
        flags = ("--db-path", "C:\\" + 250 * "x")
        windows.program = dataclasses.replace(windows.program, flags=flags)
        with pytest.raises(AutostartError, match="at most 260 characters"):
            windows.install()
        assert not windows.is_installed()

    def test_a_path_with_a_variable_goes_into_the_run_key(
        self, windows: WindowsLogon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Windows does not expand values of that type."""
        monkeypatch.setenv("TEMP", "x")
        flags = ("--db-path", r"C:\%TEMP%\mail.db")
        windows.program = dataclasses.replace(windows.program, flags=flags)
        outcome = windows.install()
        assert r"Windows would replace the %NAME% or $(Arg) in C:\%TEMP%" in outcome.notes[0]
        assert r"C:\%TEMP%\mail.db" in windows.runner.run_key

    def test_a_checkout_is_refused(
        self, windows: WindowsLogon, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A task cannot set PYTHONPATH."""
        monkeypatch.setenv("PYTHONPATH", str(Path(claude_mailbox.__file__).parents[1]))
        with pytest.raises(AutostartError, match="install it first"):
            windows.install()
        assert list(home.iterdir()) == []


class TestConsoleWindow:
    def test_pythonw_is_used_if_it_exists(self, tmp_path: Path) -> None:
        """That interpreter opens no console window."""
        python, pythonw = tmp_path / "python.exe", tmp_path / "pythonw.exe"
        assert windowless(str(python)) == str(python)
        pythonw.touch()
        assert windowless(str(python)) == str(pythonw)
        assert windowless(str(tmp_path / "Python.EXE")) == str(pythonw)

    def test_without_pythonw_there_is_a_note(self, windows: WindowsLogon) -> None:
        """The console window stays open."""
        assert any("console window" in note for note in windows.install().notes)


class TestUninstall:
    def test_leaves_no_trace(self, windows: WindowsLogon) -> None:
        """Neither the daemon, nor the task, nor its definition."""
        windows.install()
        windows.runner.pop_commands()
        assert windows.uninstall().state == "removed"
        assert windows.runner.changes() == [
            ["schtasks", "/End", "/TN", "claude-mailbox"],
            ["schtasks", "/Delete", "/TN", "claude-mailbox", "/F"],
        ]
        assert windows.home_daemon.stopped == [100]
        assert not os.path.exists(definition(windows))
        assert windows.uninstall().state == "absent"

    def test_removes_the_run_key_too(self, windows: WindowsLogon) -> None:
        """If tasks are forbidden."""
        windows.runner.has_policy = True
        windows.install()
        windows.runner.pop_commands()
        assert windows.uninstall().state == "removed"
        assert windows.runner.changes()[-1] == [
            *("reg", "delete", RUN_KEY, "/v", "claude-mailbox", "/f")
        ]
        assert not windows.is_installed()
