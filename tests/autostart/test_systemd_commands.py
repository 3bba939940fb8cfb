"""What is asked of systemctl, and what happens when it refuses."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autostart.fakes import FakeResident, FakeRunner
from claude_mailbox.autostart import Program
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import Done
from claude_mailbox.autostart.systemd import UNIT, Systemd, unit_text
from claude_mailbox.errors import AutostartError


class FakeSystemd(FakeRunner):
    """Answers as systemctl of version 255 does, for one unit.

    Attributes:
        refused: verbs that fail.
        searched: folders in which the user manager looks.
        environments: the variables that were set for systemctl.
    """

    def __init__(self, resident: FakeResident, searched: str) -> None:
        super().__init__()
        self.resident = resident
        self.refused: set[str] = set()
        self.searched = searched
        self.is_enabled = False
        self.pid = 0
        self.environments: list[Mapping[str, str]] = []

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
        self.environments.append(environment or {})
        return super().run(command, environment)

    def do_systemctl(self, user: str, verb: str, *rest: str) -> Done:
        assert user == "--user"
        if verb in self.refused:
            return Done(1, complaint=f"Failed to {verb} unit: Access denied\n")
        if verb == "show":
            answers = {
                "--property=Version": "Version=255.4-1ubuntu8\n",
                "--property=UnitPath": f"UnitPath={self.searched}\n",
                "--property=MainPID": f"MainPID={self.pid}\n",
            }
            return Done(0, "".join(answers[word] for word in rest if word != UNIT))
        if verb == "is-enabled":
            return Done(not self.is_enabled, "enabled\n" if self.is_enabled else "disabled\n")
        if verb == "enable":
            self.is_enabled = True
        if verb in ("start", "restart"):
            self.pid += 100
            self.resident.daemon = Running(self.pid)
        if verb == "stop" or (verb == "disable" and "--now" in rest):
            self.pid, self.resident.daemon = 0, None
        return Done(0)

    def do_loginctl(self, *_arguments: str) -> Done:
        return Done(0, "Linger=no\n")

    def verbs(self) -> list[str]:
        """Return the commands that changed something, and forget all."""
        asked = [command[2:] for command in self.commands if command[0] == "systemctl"]
        self.commands.clear()
        return [" ".join(words) for words in asked if words[0] not in ("show", "is-enabled")]


@pytest.fixture
def units(home: Path) -> Path:
    """The folder of the user's units."""
    return home / ".config" / "systemd" / "user"


@pytest.fixture
def systemd(program: Program, units: Path) -> Systemd:
    """The manager above a systemctl that is not there."""
    resident = FakeResident()
    return Systemd(program, FakeSystemd(resident, f"/etc/systemd/user {units}"), resident)


class TestInstall:
    def test_commands(self, systemd: Systemd, units: Path) -> None:
        """Write, tell, enable, start."""
        outcome = systemd.install()
        assert outcome.state == "installed"
        assert (units / UNIT).read_text() == unit_text(systemd.program, 255)
        expected = ["daemon-reload", f"enable {UNIT}", f"reset-failed {UNIT}", f"start {UNIT}"]
        assert systemd.runner.verbs() == expected

    def test_the_same_again_runs_no_command(self, systemd: Systemd) -> None:
        """What is as it should be is left alone."""
        systemd.install()
        systemd.runner.verbs()
        assert systemd.install().state == "unchanged"
        assert systemd.runner.verbs() == []

    def test_the_same_again_starts_what_was_stopped(self, systemd: Systemd) -> None:
        """Installing means that it runs."""
        systemd.install()
        systemd.stop()
        systemd.runner.verbs()
        assert systemd.install().state == "unchanged"
        assert systemd.runner.verbs() == [f"reset-failed {UNIT}", f"start {UNIT}"]

    def test_the_same_again_takes_over_from_a_daemon_started_by_hand(
        self, systemd: Systemd
    ) -> None:
        """The unit is there, but the daemon is not its own."""
        systemd.install()
        systemd.stop()
        systemd.resident.daemon = Running(7)
        assert systemd.install().state == "unchanged"
        assert systemd.resident.stopped == [7]
        assert systemd.resident.daemon == Running(100)

    def test_enables_again_what_was_disabled(self, systemd: Systemd) -> None:
        """The same file is not enough."""
        systemd.install()
        systemd.runner.is_enabled = False
        assert systemd.install().state == "updated"
        assert systemd.runner.is_enabled

    @pytest.mark.parametrize("verb", ["daemon-reload", "enable", "start"])
    def test_a_refusal_leaves_nothing_behind(self, systemd: Systemd, home: Path, verb: str) -> None:
        """A first install that fails is as if it had never been."""
        systemd.runner.refused = {verb}
        with pytest.raises(AutostartError, match=f"'systemctl --user {verb}' failed: .*denied"):
            systemd.install()
        assert list(home.iterdir()) == [home / ".config"]

    def test_the_folder_is_one_that_the_manager_knows(
        self, systemd: Systemd, home: Path, units: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A shell may have an XDG_CONFIG_HOME that the user manager never heard of."""
        other = home / "conf"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(other))
        systemd.install()
        assert (units / UNIT).exists()
        systemd.uninstall()
        systemd.runner.searched = f"{other}/systemd/user {units}"
        systemd.install()
        assert (other / "systemd" / "user" / UNIT).exists()

    def test_says_that_it_ends_at_logout(self, systemd: Systemd) -> None:
        """Without linger a user manager ends with the last session."""
        assert any("enable-linger" in note for note in systemd.install().notes)

    def test_finds_the_manager_where_su_did_not_say_it(
        self, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """XDG_RUNTIME_DIR is missing, but its usual folder is there."""
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(os.path, "isdir", lambda place: place == f"/run/user/{os.getuid()}")
        systemd.require(service=False)
        assert systemd.runner.environments == [{"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}]


class TestWithoutSystemd:
    def test_install_says_what_to_do(self, program: Program, home: Path) -> None:
        """A machine without systemctl gets a sentence, and nothing is written."""
        with pytest.raises(AutostartError, match=r"has no systemd .*@reboot claude-mailbox start"):
            Systemd(program, FakeRunner(), FakeResident()).install()
        assert list(home.iterdir()) == []

    def test_uninstall_removes_the_files(self, program: Program, units: Path) -> None:
        """From a rescue shell the unit goes, and the units of others stay."""
        (units / "default.target.wants").mkdir(parents=True)
        (units / UNIT).touch()
        (units / "default.target.wants" / UNIT).symlink_to(units / UNIT)
        (units / "mine.timer").touch()
        assert Systemd(program, FakeRunner(), FakeResident()).uninstall().state == "removed"
        assert list(units.iterdir()) == [units / "mine.timer"]


class TestUninstall:
    def test_commands(self, systemd: Systemd, home: Path) -> None:
        """Stop, disable, remove, tell, forget; no folder of ours is left."""
        systemd.install()
        systemd.runner.verbs()
        assert systemd.uninstall().state == "removed"
        expected = [f"disable --now {UNIT}", "daemon-reload", f"reset-failed {UNIT}"]
        assert systemd.runner.verbs() == expected
        assert list((home / ".config").iterdir()) == []
        assert not systemd.installed()

    def test_twice(self, systemd: Systemd) -> None:
        """Where nothing is, nothing is done."""
        assert systemd.uninstall().state == "absent"
        assert systemd.runner.verbs() == []
