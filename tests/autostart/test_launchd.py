"""macOS: the property list of the agent, and the commands to a fake launchctl."""

import dataclasses
import os
import plistlib
from pathlib import Path

import pytest

from autostart.fakes import FakeHomeDaemon, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.command_runner import CommandResult
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.launchd import Launchd, agent
from claude_mailbox.errors import AutostartError

USER = os.getuid()
GUI, TARGET = f"gui/{USER}", f"gui/{USER}/claude-mailbox"
NOT_FOUND = CommandResult(113, errors="Could not find service in domain for user gui\n")
# As macOS 14 prints it, shortened.
PRINTED = """gui/501/claude-mailbox = {{
\tactive count = 1
\tpath = /Users/ann/Library/LaunchAgents/claude-mailbox.plist
\tstate = running

\tprogram = /opt/python
\tdefault environment = {{
\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin
\t}}

\tpid = {pid}
\timmediate reason = speculative
\texit timeout = 20
}}
"""


class FakeLaunchctl(FakeRunner):
    """Answers like launchctl, for one agent.

    Attributes:
        refused: verbs that fail.
        has_desktop: whether the user is logged in at the screen.
        unloading: how many more times the agent is shown after it was told to unload.
    """

    def __init__(self, home_daemon: FakeHomeDaemon) -> None:
        super().__init__()
        self.home_daemon = home_daemon
        self.refused: set[str] = set()
        self.has_desktop = True
        self.is_loaded = False
        self.unloading = 0
        self.pid = 0

    def do_launchctl(self, verb: str, *rest: str) -> CommandResult:
        if verb in self.refused:
            return CommandResult(5, errors=f"{verb} failed: 5: Input/output error\n")
        method = getattr(self, f"on_{verb}", None)
        return method(*rest) if method else CommandResult(0)

    def on_print(self, target: str) -> CommandResult:
        if target == GUI:
            return CommandResult(0 if self.has_desktop else 125)
        if self.unloading:
            self.unloading -= 1
            return CommandResult(0, PRINTED.format(pid=self.pid))
        if not self.is_loaded:
            return NOT_FOUND
        if self.home_daemon.daemon is None:
            return CommandResult(0, PRINTED.replace("\tpid = {pid}\n", "").format())
        return CommandResult(0, PRINTED.format(pid=self.pid))

    def on_bootstrap(self, domain: str, path: str) -> CommandResult:
        if self.is_loaded:
            return CommandResult(5, errors="Bootstrap failed: 5: Input/output error\n")
        with open(path, "rb") as file:
            assert plistlib.load(file)["RunAtLoad"]
        self.is_loaded = True
        return self.on_kickstart(f"{domain}/claude-mailbox")

    def on_kickstart(self, _target: str) -> CommandResult:
        if self.home_daemon.daemon is None:
            self.pid += 100
            self.home_daemon.daemon = RunningDaemon(self.pid)
        return CommandResult(0)

    def on_kill(self, signal: str, _target: str) -> CommandResult:
        assert signal == "SIGTERM"
        self.home_daemon.daemon = None
        return CommandResult(0)

    def on_bootout(self, _target: str) -> CommandResult:
        self.is_loaded, self.home_daemon.daemon, self.unloading = False, None, 3
        return CommandResult(0)

    def verbs(self) -> list[str]:
        """Return the commands that changed something, and clear the record."""
        commands = [command[1:] for command in self.pop_commands()]
        return [" ".join(words) for words in commands if words[0] not in ("print", "version")]


@pytest.fixture
def plist(home: Path) -> Path:
    """The path of the agent."""
    return home / "Library" / "LaunchAgents" / "claude-mailbox.plist"


@pytest.fixture
def launchd(program: Program, monkeypatch: pytest.MonkeyPatch) -> Launchd:
    """The manager with a fake launchctl."""
    monkeypatch.setattr(Launchd, "pause", staticmethod(lambda _seconds: None))
    home_daemon = FakeHomeDaemon()
    return Launchd(program, FakeLaunchctl(home_daemon), home_daemon)


class TestAgent:
    def test_has_all_keys_that_launchd_needs(self, program: Program) -> None:
        """With their types, and any characters in paths."""
        nasty = "/Users/ann/a b%c$d&<e>\"'ü📬"
        program = dataclasses.replace(
            program, python=f"{nasty}/python", environment={"CLAUDE_MAILBOX_HOME": nasty}
        )
        assert plistlib.loads(agent(program, f"{nasty}.log")) == {
            "Label": "claude-mailbox",
            "ProgramArguments": [f"{nasty}/python", *program.arguments],
            "EnvironmentVariables": {"CLAUDE_MAILBOX_HOME": nasty},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "StandardOutPath": f"{nasty}.log",
            "StandardErrorPath": f"{nasty}.log",
        }


class TestInstall:
    def test_writes_enables_loads_and_starts(
        self, launchd: Launchd, plist: Path, home: Path
    ) -> None:
        """In this order."""
        outcome = launchd.install()
        log = str(home / "Library" / "Logs" / "claude-mailbox.log")
        assert (outcome.state, outcome.entry) == ("installed", f"LaunchAgent {plist}")
        assert outcome.logs == f"tail -f '{log}'"
        assert plist.read_bytes() == agent(launchd.program, log)
        assert launchd.runner.verbs() == [
            f"enable {TARGET}",
            f"bootstrap {GUI} {plist}",
            f"kickstart {TARGET}",
        ]

    def test_a_second_install_changes_nothing(self, launchd: Launchd) -> None:
        """No command is run that changes anything."""
        launchd.install()
        launchd.runner.verbs()
        assert launchd.install().state == "unchanged"
        assert launchd.runner.verbs() == []

    def test_a_second_install_starts_a_stopped_daemon(self, launchd: Launchd) -> None:
        """After an install the daemon runs."""
        launchd.install()
        launchd.stop()
        launchd.runner.verbs()
        assert launchd.install().state == "unchanged"
        assert launchd.runner.verbs() == [f"kickstart {TARGET}"]

    def test_a_changed_agent_is_loaded_again(self, launchd: Launchd, plist: Path) -> None:
        """launchd does not read the file of a loaded agent again."""
        launchd.install()
        launchd.runner.verbs()
        launchd.program = dataclasses.replace(launchd.program, flags=("--port", "1"))
        outcome = launchd.install()
        assert (outcome.state, outcome.daemon) == ("updated", RunningDaemon(200))
        assert launchd.runner.verbs() == [
            f"bootout {TARGET}",
            f"enable {TARGET}",
            f"bootstrap {GUI} {plist}",
            f"kickstart {TARGET}",
        ]

    def test_stops_a_daemon_that_was_started_by_hand(self, launchd: Launchd) -> None:
        """Then launchd starts one."""
        launchd.home_daemon.daemon = RunningDaemon(7)
        assert launchd.install().daemon == RunningDaemon(100)
        assert launchd.home_daemon.stopped == [7]

    def test_without_a_desktop_uses_the_domain_of_the_user(self, launchd: Launchd) -> None:
        """With ssh, nobody need be logged in at the screen."""
        launchd.runner.has_desktop = False
        launchd.install()
        assert f"kickstart user/{USER}/claude-mailbox" in launchd.runner.verbs()

    @pytest.mark.parametrize("verb", ["enable", "bootstrap"])
    def test_a_first_install_that_fails_leaves_nothing(
        self, launchd: Launchd, plist: Path, verb: str
    ) -> None:
        """The agent is removed again."""
        launchd.runner.refused = {verb}
        with pytest.raises(AutostartError, match=f"'launchctl {verb} .*Input/output error"):
            launchd.install()
        assert not plist.exists()

    def test_without_launchctl_nothing_is_written(self, program: Program, home: Path) -> None:
        """The sentence says what to do instead."""
        with pytest.raises(AutostartError, match=r"Nothing was written\..*claude-mailbox start"):
            Launchd(program, FakeRunner(), FakeHomeDaemon()).install()
        assert list(home.iterdir()) == []

    def test_service_is_refused(self, launchd: Launchd) -> None:
        """The flag is for Windows."""
        with pytest.raises(AutostartError, match="Windows only"):
            launchd.install(service=True)


class TestRunning:
    def test_restart_lets_the_daemon_finish(self, launchd: Launchd) -> None:
        """It sends SIGTERM and starts the agent; `kickstart -k` would kill the daemon."""
        launchd.install()
        launchd.runner.verbs()
        launchd.restart()
        assert launchd.runner.verbs() == [f"kill SIGTERM {TARGET}", f"kickstart {TARGET}"]
        assert launchd.home_daemon.daemon == RunningDaemon(200)

    def test_stop_without_a_running_daemon_does_nothing(self, launchd: Launchd) -> None:
        """There is no process to signal."""
        launchd.stop()
        assert launchd.runner.verbs() == []


class TestUninstall:
    def test_leaves_no_trace(self, launchd: Launchd, plist: Path, home: Path) -> None:
        """It removes the agent, its file and its log."""
        launchd.install()
        log = home / "Library" / "Logs" / "claude-mailbox.log"
        log.parent.mkdir()
        log.touch()
        launchd.runner.verbs()
        assert launchd.uninstall().state == "removed"
        assert launchd.runner.verbs() == [f"bootout {TARGET}"]
        assert (plist.exists(), log.exists(), launchd.is_installed()) == (False, False, False)
        assert launchd.uninstall().state == "absent"

    def test_fails_if_launchd_does_not_unload_the_agent(
        self, launchd: Launchd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file stays, so that uninstall can be run again."""
        launchd.install()
        monkeypatch.setattr("claude_mailbox.autostart.launchd._UNLOAD_SECONDS", -1.0)
        with pytest.raises(AutostartError, match="does not unload"):
            launchd.uninstall()
        assert launchd.is_installed()
