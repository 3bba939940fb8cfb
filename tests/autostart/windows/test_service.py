"""Windows: the service, with fake commands."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from autostart.fakes import FakeHomeDaemon, FakeRunner
from claude_mailbox import autostart
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.command_runner import CommandResult
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.windows.logon import WindowsLogon
from claude_mailbox.autostart.windows.service import WindowsService
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
    """Answers like sc.exe, icacls and whoami in the terminal of an administrator.

    Attributes:
        refused: verbs of sc.exe that fail, with the error code.
        line: the command line of the service.
    """

    def __init__(self, home_daemon: FakeHomeDaemon) -> None:
        super().__init__()
        self.home_daemon = home_daemon
        self.is_admin = True
        self.refused: dict[str, int] = {}
        self.line: str | None = None

    def do_whoami(self, *_arguments: str) -> CommandResult:
        return CommandResult(0, "Mandatory Label S-1-16-12288" if self.is_admin else "S-1-16-8192")

    def do_icacls(self, *_arguments: str) -> CommandResult:
        return CommandResult(0)

    def do_schtasks(self, *_arguments: str) -> CommandResult:
        return CommandResult(1)

    def do_reg(self, *_arguments: str) -> CommandResult:
        return CommandResult(1)

    def do_sc(self, verb: str, name: str, *rest: str) -> CommandResult:
        assert name == "claude-mailbox"
        if verb in self.refused:
            return CommandResult(self.refused[verb], "[SC] FAILED\r\n\r\nSome reason.\r\n")
        if verb == "create":
            self.line = rest[rest.index("binPath=") + 1]
            return CommandResult(0)
        if self.line is None:
            return CommandResult(1060)
        if verb == "config":
            self.line = rest[1]
        if verb == "qc":
            return CommandResult(0, QC.format(line=self.line))
        if verb == "query":
            return CommandResult(
                0, QUERY.format(state="4  RUNNING" if self.home_daemon.daemon else "1  STOPPED")
            )
        if verb == "start":
            self.home_daemon.daemon = RunningDaemon(100)
        if verb == "stop":
            was_running, self.home_daemon.daemon = self.home_daemon.daemon, None
            return CommandResult(0 if was_running else 1062)
        if verb == "delete":
            self.line = None
        return CommandResult(0)

    def changes(self) -> list[list[str]]:
        """Return the commands that changed something, and clear the record."""
        commands = self.pop_commands()
        return [c for c in commands if c[0] != "whoami" and c[1] not in ("query", "qc", "/Query")]


@pytest.fixture
def service(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowsService:
    """The service with a fake Windows."""
    monkeypatch.setenv("PROGRAMDATA", str(tmp_path / "ProgramData"))
    monkeypatch.setenv("USERPROFILE", r"C:\Users\ann")
    home_daemon = FakeHomeDaemon()
    program = dataclasses.replace(program, python=PYTHON)
    service = WindowsService.of(program, FakeServices(home_daemon))
    service.home_daemon = home_daemon
    return service


@pytest.fixture
def root(service: WindowsService) -> Path:
    """The machine-wide folder."""
    return Path(os.environ["PROGRAMDATA"]) / "ClaudeMailbox"


class TestInstall:
    def test_creates_and_starts_the_service(self, service: WindowsService, root: Path) -> None:
        """With an account of few rights, and restarts after a failure."""
        outcome = service.install(service=True)
        assert (outcome.state, outcome.entry) == ("installed", "Windows service 'claude-mailbox'")
        module = "claude_mailbox.autostart.windows.service_host"
        line = f'"{PYTHON}" -E -P -m {module} --home {root / "home"} --port 0'
        assert [
            command[1:] for command in service.runner.pop_commands() if command[0] == "sc.exe"
        ] == [
            ["query", NAME],
            ["create", NAME, "binPath=", line, "start=", "auto", *ACCOUNT],
            ["description", NAME, "claude-mailbox: mail between coding-agent sessions"],
            ["failure", NAME, "reset=", "3600", "actions=", ACTIONS],
            ["failureflag", NAME, "1"],
            ["start", NAME],
        ]

    def test_restricts_the_rights_on_its_folders(self, service: WindowsService, root: Path) -> None:
        """Users may only read the port; the account may write only to its home folder."""
        service.install(service=True)
        admins, system, users, local = "*S-1-5-32-544", "*S-1-5-18", "*S-1-5-32-545", "*S-1-5-19"
        full = [f"{admins}:(OI)(CI)F", f"{system}:(OI)(CI)F"]
        read = [f"{users}:(OI)(CI)RX", f"{local}:(OI)(CI)RX"]
        assert [
            command[1:] for command in service.runner.pop_commands() if command[0] == "icacls"
        ] == [
            [str(root), "/setowner", admins, "/T", "/Q"],
            [str(root), "/reset", "/T", "/Q"],
            [str(root), "/inheritance:r", "/grant:r", *full, *read],
            [str(root / "home"), "/inheritance:r", "/grant:r", *full, f"{local}:(OI)(CI)M"],
        ]
        assert json.loads((root / "mailbox.json").read_text()) == {"port": 0, "bind": "127.0.0.1"}

    def test_a_second_install_changes_nothing(self, service: WindowsService) -> None:
        """No command is run that changes anything."""
        service.install(service=True)
        service.runner.pop_commands()
        assert service.install(service=True).state == "unchanged"
        assert service.runner.changes() == []

    def test_a_changed_service_is_restarted(self, service: WindowsService) -> None:
        """Other flags change its command line."""
        service.install(service=True)
        service.runner.pop_commands()
        service.program = dataclasses.replace(service.program, flags=("--port", "1"))
        assert service.install(service=True).state == "updated"
        verbs = [command[1] for command in service.runner.changes() if command[0] == "sc.exe"]
        assert verbs == ["config", "stop", "start"]

    def test_needs_an_administrator(self, service: WindowsService, root: Path) -> None:
        """Without one, nothing is written."""
        service.runner.is_admin = False
        with pytest.raises(AutostartError, match="Run as administrator"):
            service.install(service=True)
        assert not root.exists()

    def test_a_python_in_a_user_profile_is_refused(self, service: WindowsService) -> None:
        """The account cannot read the profile, and must not run what a user can change."""
        python = r"c:\users\ann\AppData\Local\Python\python.exe"
        service.program = dataclasses.replace(service.program, python=python)
        with pytest.raises(AutostartError, match="for all users"):
            service.install(service=True)

    def test_a_path_with_a_variable_is_refused(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The service manager expands variables, and knows no escape for them."""
        monkeypatch.setenv("TEMP", "x")
        flags = ("--db-path", r"D:\%temp%\mail.db")
        service.program = dataclasses.replace(service.program, flags=flags)
        with pytest.raises(AutostartError, match="would replace"):
            service.install(service=True)

    @pytest.mark.parametrize(
        ("verb", "code", "sentence"),
        [
            ("create", 5, "Run as administrator"),
            ("create", 1072, "'sc.exe create claude-mailbox' failed: .*Some reason"),
            ("failure", 5, "Run as administrator"),
            ("start", 1053, "'sc.exe start claude-mailbox' failed"),
        ],
    )
    def test_a_first_install_that_fails_leaves_nothing(
        self, service: WindowsService, verb: str, code: int, sentence: str
    ) -> None:
        """The service is deleted again."""
        service.runner.refused = {verb: code}
        with pytest.raises(AutostartError, match=sentence):
            service.install(service=True)
        assert service.runner.line is None

    def test_keeps_a_configuration_of_the_administrator(
        self, service: WindowsService, root: Path
    ) -> None:
        """A file with other keys than ours is neither written nor deleted."""
        root.mkdir(parents=True)
        (root / "mailbox.json").write_text('{"port": 5, "maxBodyBytes": 10}')
        service.install(service=True)
        service.uninstall()
        assert json.loads((root / "mailbox.json").read_text())["maxBodyBytes"] == 10


class TestOtherEntries:
    def test_the_service_replaces_the_daemon_of_the_user(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both would use the same port."""
        monkeypatch.setattr(WindowsService, "of", classmethod(lambda *_arguments: service))
        own = FakeHomeDaemon()
        own.daemon = RunningDaemon(7)
        windows = WindowsLogon(service.program, service.runner, own)
        assert windows.install(service=True).daemon == RunningDaemon(100)
        assert own.stopped == [7]

    def test_a_task_is_refused_if_the_service_is_installed(self, service: WindowsService) -> None:
        """The service must be uninstalled first."""
        service.install(service=True)
        with pytest.raises(AutostartError, match="service is installed already"):
            service.install()

    def test_if_the_service_is_installed_it_is_the_manager(
        self, service: WindowsService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`status`, `stop` and `uninstall-autostart` are about the service then."""
        monkeypatch.setattr(autostart, "CommandRunner", lambda: service.runner)
        assert isinstance(autostart.manager(service.program, "win32"), WindowsLogon)
        service.install(service=True)
        assert isinstance(autostart.manager(service.program, "win32"), WindowsService)


class TestUninstall:
    def test_leaves_no_trace(self, service: WindowsService, root: Path) -> None:
        """Neither the service, nor its configuration, nor empty folders."""
        service.install(service=True)
        service.runner.pop_commands()
        (root / "home" / "mailbox.db").touch()
        assert service.uninstall().state == "removed"
        assert [command[1] for command in service.runner.changes()] == ["stop", "delete"]
        assert list(root.iterdir()) == [root / "home"]
        assert service.uninstall().state == "absent"

    def test_purge_deletes_the_mail_too(self, service: WindowsService, root: Path) -> None:
        """And the folder for the whole machine."""
        service.install(service=True)
        (root / "home" / "mailbox.lock").touch()
        service.uninstall(purge=True)
        assert not root.exists()

    def test_stop_of_a_service_that_does_not_run(self, service: WindowsService) -> None:
        """An error of sc.exe, but not of ours."""
        service.install(service=True)
        service.stop()
        service.stop()
        service.runner.refused = {"stop": 1051}
        with pytest.raises(AutostartError, match=r"'sc\.exe stop"):
            service.stop()
