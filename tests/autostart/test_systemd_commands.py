"""systemd: the commands to a fake systemctl, and what happens if it refuses."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autostart.fakes import FakeHomeDaemon, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.command_runner import CommandResult
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.autostart.systemd import UNIT, Systemd, unit_text
from claude_mailbox.errors import AutostartError


class FakeSystemd(FakeRunner):
    """Answers like systemctl of version 255, for one unit.

    Attributes:
        refused: verbs that fail.
        searched: folders in which the user manager searches for units.
        environments: the variables that were set for systemctl.
    """

    def __init__(self, home_daemon: FakeHomeDaemon, searched: str) -> None:
        super().__init__()
        self.home_daemon = home_daemon
        self.refused: set[str] = set()
        self.searched = searched
        self.is_enabled = False
        self.pid = 0
        self.environments: list[Mapping[str, str]] = []

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        self.environments.append(environment or {})
        return super().run(command, environment)

    def do_systemctl(self, user: str, verb: str, *rest: str) -> CommandResult:
        assert user == "--user"
        if verb in self.refused:
            return CommandResult(1, errors=f"Failed to {verb} unit: Access denied\n")
        if verb == "show":
            answers = {
                "--property=Version": "Version=255.4-1ubuntu8\n",
                "--property=UnitPath": f"UnitPath={self.searched}\n",
                "--property=MainPID": f"MainPID={self.pid}\n",
            }
            return CommandResult(0, "".join(answers[word] for word in rest if word != UNIT))
        if verb == "is-enabled":
            return CommandResult(
                not self.is_enabled, "enabled\n" if self.is_enabled else "disabled\n"
            )
        if verb == "enable":
            self.is_enabled = True
        if verb in ("start", "restart"):
            self.pid += 100
            self.home_daemon.daemon = RunningDaemon(self.pid)
        if verb == "stop" or (verb == "disable" and "--now" in rest):
            self.pid, self.home_daemon.daemon = 0, None
        return CommandResult(0)

    def do_loginctl(self, *_arguments: str) -> CommandResult:
        return CommandResult(0, "Linger=no\n")

    def verbs(self) -> list[str]:
        """Return the commands that changed something, and clear the record."""
        commands = [command[2:] for command in self.commands if command[0] == "systemctl"]
        self.commands.clear()
        return [" ".join(words) for words in commands if words[0] not in ("show", "is-enabled")]


@pytest.fixture
def units(home: Path) -> Path:
    """The folder of the user's units."""
    return home / ".config" / "systemd" / "user"


@pytest.fixture
def systemd(program: Program, units: Path) -> Systemd:
    """The manager with a fake systemctl."""
    home_daemon = FakeHomeDaemon()
    return Systemd(program, FakeSystemd(home_daemon, f"/etc/systemd/user {units}"), home_daemon)


class TestInstall:
    def test_writes_enables_and_starts(self, systemd: Systemd, units: Path) -> None:
        """In this order."""
        outcome = systemd.install()
        assert outcome.state == "installed"
        assert (units / UNIT).read_text() == unit_text(systemd.program, 255)
        expected = ["daemon-reload", f"enable {UNIT}", f"reset-failed {UNIT}", f"start {UNIT}"]
        assert systemd.runner.verbs() == expected

    def test_a_second_install_changes_nothing(self, systemd: Systemd) -> None:
        """No command is run that changes anything."""
        systemd.install()
        systemd.runner.verbs()
        assert systemd.install().state == "unchanged"
        assert systemd.runner.verbs() == []

    def test_a_second_install_starts_a_stopped_daemon(self, systemd: Systemd) -> None:
        """After an install the daemon runs."""
        systemd.install()
        systemd.stop()
        systemd.runner.verbs()
        assert systemd.install().state == "unchanged"
        assert systemd.runner.verbs() == [f"reset-failed {UNIT}", f"start {UNIT}"]

    def test_a_second_install_replaces_a_daemon_that_was_started_by_hand(
        self, systemd: Systemd
    ) -> None:
        """The unit exists, but did not start that daemon."""
        systemd.install()
        systemd.stop()
        systemd.home_daemon.daemon = RunningDaemon(7)
        assert systemd.install().state == "unchanged"
        assert systemd.home_daemon.stopped == [7]
        assert systemd.home_daemon.daemon == RunningDaemon(100)

    def test_a_second_install_enables_a_disabled_unit(self, systemd: Systemd) -> None:
        """Although the file is the same."""
        systemd.install()
        systemd.runner.is_enabled = False
        assert systemd.install().state == "updated"
        assert systemd.runner.is_enabled

    @pytest.mark.parametrize("verb", ["daemon-reload", "enable", "start"])
    def test_a_first_install_that_fails_leaves_nothing(
        self, systemd: Systemd, home: Path, verb: str
    ) -> None:
        """The unit is removed again."""
        systemd.runner.refused = {verb}
        with pytest.raises(AutostartError, match=f"'systemctl --user {verb}' failed: .*denied"):
            systemd.install()
        assert list(home.iterdir()) == [home / ".config"]

    def test_writes_to_a_folder_that_the_manager_searches(
        self, systemd: Systemd, home: Path, units: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A shell may have an XDG_CONFIG_HOME that the user manager does not have."""
        other = home / "conf"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(other))
        systemd.install()
        assert (units / UNIT).exists()
        systemd.uninstall()
        systemd.runner.searched = f"{other}/systemd/user {units}"
        systemd.install()
        assert (other / "systemd" / "user" / UNIT).exists()

    def test_notes_that_the_daemon_ends_at_logout(self, systemd: Systemd) -> None:
        """Without linger the user manager ends with the last session."""
        assert any("enable-linger" in note for note in systemd.install().notes)

    def test_finds_the_manager_without_xdg_runtime_dir(
        self, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`su` does not set it, but the default folder exists."""
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(os.path, "isdir", lambda place: place == f"/run/user/{os.getuid()}")
        systemd.check_supported(service=False)
        assert systemd.runner.environments == [{"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}]


class TestWithoutSystemd:
    def test_install_says_what_to_do_instead(self, program: Program, home: Path) -> None:
        """And writes nothing."""
        with pytest.raises(AutostartError, match=r"has no systemd .*@reboot claude-mailbox start"):
            Systemd(program, FakeRunner(), FakeHomeDaemon()).install()
        assert list(home.iterdir()) == []

    def test_uninstall_removes_the_files(self, program: Program, units: Path) -> None:
        """Only the unit is removed; other units stay."""
        (units / "default.target.wants").mkdir(parents=True)
        (units / UNIT).touch()
        (units / "default.target.wants" / UNIT).symlink_to(units / UNIT)
        (units / "mine.timer").touch()
        assert Systemd(program, FakeRunner(), FakeHomeDaemon()).uninstall().state == "removed"
        assert list(units.iterdir()) == [units / "mine.timer"]


class TestUninstall:
    def test_stops_disables_and_removes(self, systemd: Systemd, home: Path) -> None:
        """In this order; no folder of ours is left."""
        systemd.install()
        systemd.runner.verbs()
        assert systemd.uninstall().state == "removed"
        expected = [f"disable --now {UNIT}", "daemon-reload", f"reset-failed {UNIT}"]
        assert systemd.runner.verbs() == expected
        assert list((home / ".config").iterdir()) == []
        assert not systemd.is_installed()

    def test_a_second_uninstall_does_nothing(self, systemd: Systemd) -> None:
        """There is no entry."""
        assert systemd.uninstall().state == "absent"
        assert systemd.runner.verbs() == []
