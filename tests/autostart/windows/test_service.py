"""The Windows service: its commands, against programs that are not there."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from autostart.fakes import FakeResident, FakeRunner
from claude_mailbox import autostart
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import Done
from claude_mailbox.autostart.service import WindowsService
from claude_mailbox.autostart.windows import Windows
from claude_mailbox.errors import AutostartError

PYTHON = r"C:\Program Files\Python313\python.exe"
NAME = "claude-mailbox"
ACCOUNT = ["obj=", r"NT AUTHORITY\LocalService", "DisplayName=", NAME]
ACTIONS = "restart/1000/restart/5000/restart/60000"
QC = """[SC] QueryServiceConfig SUCCESS\r
\r
SERVICE_NAME: claude-mailbox\r
        TYPE               : 10  WIN32_OWN_PROCESS\r
        START_TYPE         : 2   AUTO_START\r
        BINARY_PATH_NAME   : {line}\r
        SERVICE_START_NAME : NT AUTHORITY\\LocalService\r
"""
QUERY = """\r
SERVICE_NAME: claude-mailbox\r
        TYPE               : 10  WIN32_OWN_PROCESS\r
        STATE              : {state}\r
        WIN32_EXIT_CODE    : 0  (0x0)\r
"""


class FakeServices(FakeRunner):
    """Answers as sc.exe, icacls and whoami do, in an administrator's terminal.

    Attributes:
        refused: verbs of sc.exe that fail, with the error code.
        line: the service's command line.
    """

    def __init__(self, resident: FakeResident) -> None:
        super().__init__()
        self.resident = resident
        self.is_admin = True
        self.refused: dict[str, int] = {}
        self.line: str | None = None

    def do_whoami(self, *_arguments: str) -> Done:
        return Done(0, "Mandatory Label S-1-16-12288" if self.is_admin else "S-1-16-8192")

    def do_icacls(self, *_arguments: str) -> Done:
        return Done(0)

    def do_schtasks(self, *_arguments: str) -> Done:
        return Done(1)

    def do_reg(self, *_arguments: str) -> Done:
        return Done(1)

    def do_sc(self, verb: str, name: str, *rest: str) -> Done:
        assert name == "claude-mailbox"
        if verb in self.refused:
            return Done(self.refused[verb], "[SC] FAILED\r\n\r\nIt is said why.\r\n")
        if verb == "create":
            self.line = rest[rest.index("binPath=") + 1]
            return Done(0)
        if self.line is None:
            return Done(1060)
        if verb == "config":
            self.line = rest[1]
        if verb == "qc":
            return Done(0, QC.format(line=self.line))
        if verb == "query":
            return Done(
                0, QUERY.format(state="4  RUNNING" if self.resident.daemon else "1  STOPPED")
            )
        if verb == "start":
            self.resident.daemon = Running(100)
        if verb == "stop":
            was_running, self.resident.daemon = self.resident.daemon, None
            return Done(0 if was_running else 1062)
        if verb == "delete":
            self.line = None
        return Done(0)

    def changes(self) -> list[list[str]]:
        """Return the commands that changed something, and forget all."""
        told = self.took()
        return [c for c in told if c[0] != "whoami" and c[1] not in ("query", "qc", "/Query")]


@pytest.fixture
def service(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowsService:
    """The service above a Windows that is not there."""
    monkeypatch.setenv("PROGRAMDATA", str(tmp_path / "ProgramData"))
    monkeypatch.setenv("USERPROFILE", r"C:\Users\ann")
    resident = FakeResident()
    program = dataclasses.replace(program, python=PYTHON)
    service = WindowsService.of(program, FakeServices(resident))
    service.resident = resident
    return service


@pytest.fixture
def root(service: WindowsService) -> Path:
    """The machine-wide folder."""
    return Path(os.environ["PROGRAMDATA"]) / "ClaudeMailbox"


class TestInstall:
    def test_commands(self, service: WindowsService, root: Path) -> None:
        """Create it with an account that may little, restart it on failure, start it."""
        outcome = service.install(service=True)
        assert (outcome.state, outcome.entry) == ("installed", "Windows service 'claude-mailbox'")
        module = "claude_mailbox.autostart.service_host"
        line = f'"{PYTHON}" -P -m {module} --home {root / "home"} --port 0'
        assert [command[1:] for command in service.runner.took() if command[0] == "sc.exe"] == [
            ["query", NAME],
            ["create", NAME, "binPath=", line, "start=", "auto", *ACCOUNT],
            ["description", NAME, "claude-mailbox: mail between coding-agent sessions"],
            ["failure", NAME, "reset=", "3600", "actions=", ACTIONS],
            ["failureflag", NAME, "1"],
            ["start", NAME],
        ]

    def test_closes_its_folders(self, service: WindowsService, root: Path) -> None:
        """Users may read the port and nothing else; the account writes its home alone."""
        service.install(service=True)
        admins, system, users, local = "*S-1-5-32-544", "*S-1-5-18", "*S-1-5-32-545", "*S-1-5-19"
        full = [f"{admins}:(OI)(CI)F", f"{system}:(OI)(CI)F"]
        read = [f"{users}:(OI)(CI)RX", f"{local}:(OI)(CI)RX"]
        assert [command[1:] for command in service.runner.took() if command[0] == "icacls"] == [
            [str(root), "/setowner", admins, "/T", "/Q"],
            [str(root), "/reset", "/T", "/Q"],
            [str(root), "/inheritance:r", "/grant:r", *full, *read],
            [str(root / "home"), "/inheritance:r", "/grant:r", *full, f"{local}:(OI)(CI)M"],
        ]
        assert json.loads((root / "mailbox.json").read_text()) == {"port": 0, "bind": "127.0.0.1"}

    def test_the_same_again_runs_no_command(self, service: WindowsService) -> None:
        """What is as it should be is left alone."""
        service.install(service=True)
        service.runner.took()
        assert service.install(service=True).state == "unchanged"
        assert service.runner.changes() == []

    def test_a_changed_one_is_restarted(self, service: WindowsService) -> None:
        """Other flags are another command line."""
        service.install(service=True)
        service.runner.took()
        service.program = dataclasses.replace(service.program, flags=("--port", "1"))
        assert service.install(service=True).state == "updated"
        verbs = [command[1] for command in service.runner.changes() if command[0] == "sc.exe"]
        assert verbs == ["config", "stop", "start"]

    def test_needs_an_administrator(self, service: WindowsService, root: Path) -> None:
        """It says so before anything is written."""
        service.runner.is_admin = False
        with pytest.raises(AutostartError, match="Run as administrator"):
            service.install(service=True)
        assert not root.exists()

    def test_a_python_of_one_user_is_refused(self, service: WindowsService) -> None:
        """The service's account cannot read a profile, and must not run what a user can change."""
        python = r"c:\users\ann\AppData\Local\Python\python.exe"
        service.program = dataclasses.replace(service.program, python=python)
        with pytest.raises(AutostartError, match="for all users"):
            service.install(service=True)

    def test_a_path_that_windows_would_replace_is_refused(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The service manager expands variables, and knows no escape."""
        monkeypatch.setenv("TEMP", "x")
        flags = ("--db-path", r"D:\%temp%\mail.db")
        service.program = dataclasses.replace(service.program, flags=flags)
        with pytest.raises(AutostartError, match="would replace"):
            service.install(service=True)

    @pytest.mark.parametrize(
        ("verb", "code", "sentence"),
        [
            ("create", 5, "Run as administrator"),
            ("create", 1072, "'sc.exe create claude-mailbox' failed: .*It is said why"),
            ("failure", 5, "Run as administrator"),
            ("start", 1053, "'sc.exe start claude-mailbox' failed"),
        ],
    )
    def test_a_refusal_leaves_nothing_behind(
        self, service: WindowsService, verb: str, code: int, sentence: str
    ) -> None:
        """A first install that fails is as if it had never been."""
        service.runner.refused = {verb: code}
        with pytest.raises(AutostartError, match=sentence):
            service.install(service=True)
        assert service.runner.line is None

    def test_what_an_administrator_wrote_is_kept(self, service: WindowsService, root: Path) -> None:
        """Only a file that has no more than ours is written."""
        root.mkdir(parents=True)
        (root / "mailbox.json").write_text('{"port": 5, "maxBodyBytes": 10}')
        service.install(service=True)
        service.uninstall()
        assert json.loads((root / "mailbox.json").read_text())["maxBodyBytes"] == 10


class TestInstead:
    def test_the_user_s_own_daemon_makes_room(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One daemon a port: the task's and the one by hand end before the service starts."""
        monkeypatch.setattr(WindowsService, "of", classmethod(lambda *_arguments: service))
        own = FakeResident()
        own.daemon = Running(7)
        windows = Windows(service.program, service.runner, own)
        assert windows.install(service=True).daemon == Running(100)
        assert own.stopped == [7]

    def test_a_task_beside_the_service_is_refused(self, service: WindowsService) -> None:
        """Whoever wants the other kind says so by uninstalling."""
        service.install(service=True)
        with pytest.raises(AutostartError, match="service is installed already"):
            service.install()

    def test_the_manager_of_a_windows_with_the_service_is_the_service(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`status`, `stop` and `uninstall-autostart` then mean the service."""
        monkeypatch.setattr(autostart, "Runner", lambda: service.runner)
        assert isinstance(autostart.manager(service.program, "win32"), Windows)
        service.install(service=True)
        assert isinstance(autostart.manager(service.program, "win32"), WindowsService)


class TestUninstall:
    def test_leaves_no_trace(self, service: WindowsService, root: Path) -> None:
        """The service, its configuration and its empty folders go."""
        service.install(service=True)
        service.runner.took()
        (root / "home" / "mailbox.db").touch()
        assert service.uninstall().state == "removed"
        assert [command[1] for command in service.runner.changes()] == ["stop", "delete"]
        assert list(root.iterdir()) == [root / "home"]
        assert service.uninstall().state == "absent"

    def test_purge_takes_the_mail_too(self, service: WindowsService, root: Path) -> None:
        """The machine-wide folder goes with it."""
        service.install(service=True)
        (root / "home" / "mailbox.lock").touch()
        service.uninstall(purge=True)
        assert not root.exists()

    def test_a_service_that_does_not_run_is_stopped_already(self, service: WindowsService) -> None:
        """sc.exe calls that an error."""
        service.install(service=True)
        service.stop()
        service.stop()
        service.runner.refused = {"stop": 1051}
        with pytest.raises(AutostartError, match=r"'sc\.exe stop"):
            service.stop()
