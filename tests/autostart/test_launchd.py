"""macOS: the form of the agent, and the commands, against a launchctl that is not there."""

import dataclasses
import os
import plistlib
from pathlib import Path

import pytest

from autostart.fakes import FakeResident, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.launchd import Launchd, agent
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import Done
from claude_mailbox.errors import AutostartError

USER = os.getuid()
GUI, TARGET = f"gui/{USER}", f"gui/{USER}/claude-mailbox"
NOT_FOUND = Done(113, complaint="Could not find service in domain for user gui\n")
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
    """Answers as launchctl does, for one agent.

    Attributes:
        refused: verbs that fail.
        has_desktop: whether the user is logged in at the screen.
        unloading: how often the agent is still there after it was told to go.
    """

    def __init__(self, resident: FakeResident) -> None:
        super().__init__()
        self.resident = resident
        self.refused: set[str] = set()
        self.has_desktop = True
        self.is_loaded = False
        self.unloading = 0
        self.pid = 0

    def do_launchctl(self, verb: str, *rest: str) -> Done:
        if verb in self.refused:
            return Done(5, complaint=f"{verb} failed: 5: Input/output error\n")
        method = getattr(self, f"on_{verb}", None)
        return method(*rest) if method else Done(0)

    def on_print(self, target: str) -> Done:
        if target == GUI:
            return Done(0 if self.has_desktop else 125)
        if self.unloading:
            self.unloading -= 1
            return Done(0, PRINTED.format(pid=self.pid))
        if not self.is_loaded:
            return NOT_FOUND
        if self.resident.daemon is None:
            return Done(0, PRINTED.replace("\tpid = {pid}\n", "").format())
        return Done(0, PRINTED.format(pid=self.pid))

    def on_bootstrap(self, domain: str, path: str) -> Done:
        if self.is_loaded:
            return Done(5, complaint="Bootstrap failed: 5: Input/output error\n")
        with open(path, "rb") as file:
            assert plistlib.load(file)["RunAtLoad"]
        self.is_loaded = True
        return self.on_kickstart(f"{domain}/claude-mailbox")

    def on_kickstart(self, _target: str) -> Done:
        if self.resident.daemon is None:
            self.pid += 100
            self.resident.daemon = Running(self.pid)
        return Done(0)

    def on_kill(self, signal: str, _target: str) -> Done:
        assert signal == "SIGTERM"
        self.resident.daemon = None
        return Done(0)

    def on_bootout(self, _target: str) -> Done:
        self.is_loaded, self.resident.daemon, self.unloading = False, None, 3
        return Done(0)

    def verbs(self) -> list[str]:
        """Return the commands that changed something, and forget all."""
        told = [command[1:] for command in self.took()]
        return [" ".join(words) for words in told if words[0] not in ("print", "version")]


@pytest.fixture
def plist(home: Path) -> Path:
    """Where the agent is."""
    return home / "Library" / "LaunchAgents" / "claude-mailbox.plist"


@pytest.fixture
def launchd(program: Program, monkeypatch: pytest.MonkeyPatch) -> Launchd:
    """The manager above a launchctl that is not there."""
    monkeypatch.setattr(Launchd, "pause", staticmethod(lambda _seconds: None))
    resident = FakeResident()
    return Launchd(program, FakeLaunchctl(resident), resident)


class TestAgent:
    def test_form(self, program: Program) -> None:
        """Every key that launchd needs, with its type, and any letter in a path."""
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
    def test_commands(self, launchd: Launchd, plist: Path, home: Path) -> None:
        """Write, allow, load, start."""
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

    def test_the_same_again_runs_no_command(self, launchd: Launchd) -> None:
        """What is as it should be is left alone."""
        launchd.install()
        launchd.runner.verbs()
        assert launchd.install().state == "unchanged"
        assert launchd.runner.verbs() == []

    def test_the_same_again_starts_what_was_stopped(self, launchd: Launchd) -> None:
        """Installing means that it runs."""
        launchd.install()
        launchd.stop()
        launchd.runner.verbs()
        assert launchd.install().state == "unchanged"
        assert launchd.runner.verbs() == [f"kickstart {TARGET}"]

    def test_a_changed_one_is_loaded_anew(self, launchd: Launchd, plist: Path) -> None:
        """launchd keeps what it loaded until it has let go of it."""
        launchd.install()
        launchd.runner.verbs()
        launchd.program = dataclasses.replace(launchd.program, flags=("--port", "1"))
        outcome = launchd.install()
        assert (outcome.state, outcome.daemon) == ("updated", Running(200))
        assert launchd.runner.verbs() == [
            f"bootout {TARGET}",
            f"enable {TARGET}",
            f"bootstrap {GUI} {plist}",
            f"kickstart {TARGET}",
        ]

    def test_a_daemon_started_by_hand_is_handed_over(self, launchd: Launchd) -> None:
        """It ends, and launchd starts the next."""
        launchd.resident.daemon = Running(7)
        assert launchd.install().daemon == Running(100)
        assert launchd.resident.stopped == [7]

    def test_without_a_desktop_it_is_the_user_s_domain(self, launchd: Launchd) -> None:
        """Over ssh nobody is logged in at the screen."""
        launchd.runner.has_desktop = False
        launchd.install()
        assert f"kickstart user/{USER}/claude-mailbox" in launchd.runner.verbs()

    @pytest.mark.parametrize("verb", ["enable", "bootstrap"])
    def test_a_refusal_leaves_nothing_behind(
        self, launchd: Launchd, plist: Path, verb: str
    ) -> None:
        """A first install that fails is as if it had never been."""
        launchd.runner.refused = {verb}
        with pytest.raises(AutostartError, match=f"'launchctl {verb} .*Input/output error"):
            launchd.install()
        assert not plist.exists()

    def test_without_launchctl_nothing_is_written(self, program: Program, home: Path) -> None:
        """One sentence says what to do instead."""
        with pytest.raises(AutostartError, match=r"Nothing was written\..*claude-mailbox start"):
            Launchd(program, FakeRunner(), FakeResident()).install()
        assert list(home.iterdir()) == []

    def test_a_service_is_for_windows(self, launchd: Launchd) -> None:
        """The flag of another platform is refused, not ignored."""
        with pytest.raises(AutostartError, match="Windows only"):
            launchd.install(service=True)


class TestRunning:
    def test_restart(self, launchd: Launchd) -> None:
        """SIGTERM and a start: 'kickstart -k' would not let it finish."""
        launchd.install()
        launchd.runner.verbs()
        launchd.restart()
        assert launchd.runner.verbs() == [f"kill SIGTERM {TARGET}", f"kickstart {TARGET}"]
        assert launchd.resident.daemon == Running(200)

    def test_stop_when_it_does_not_run(self, launchd: Launchd) -> None:
        """There is nothing to kill."""
        launchd.stop()
        assert launchd.runner.verbs() == []


class TestUninstall:
    def test_leaves_no_trace(self, launchd: Launchd, plist: Path, home: Path) -> None:
        """The agent, its file and its log go."""
        launchd.install()
        log = home / "Library" / "Logs" / "claude-mailbox.log"
        log.parent.mkdir()
        log.touch()
        launchd.runner.verbs()
        assert launchd.uninstall().state == "removed"
        assert launchd.runner.verbs() == [f"bootout {TARGET}"]
        assert (plist.exists(), log.exists(), launchd.installed()) == (False, False, False)
        assert launchd.uninstall().state == "absent"

    def test_gives_up_when_launchd_does_not_let_go(
        self, launchd: Launchd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file stays, so that another try finds it."""
        launchd.install()
        monkeypatch.setattr("claude_mailbox.autostart.launchd._UNLOAD_SECONDS", -1.0)
        with pytest.raises(AutostartError, match="does not let go"):
            launchd.uninstall()
        assert launchd.installed()
