"""Install and uninstall under a real systemd user manager."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import claude_mailbox
from autostart.user_manager import PATIENCE_SECONDS, UserManager

UNIT = "claude-mailbox.service"
# Listens, tells systemd so, and answers whoever comes with a line that is no HTTP.
STRANGER = """
import os, socket
server = socket.create_server(("127.0.0.1", 8123))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
    ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    client, _ = server.accept()
    client.sendall(b"220 stranger ESMTP\\r\\n")
    client.close()
"""


class Box:
    """A user with a home folder of the daemon, and our command line beside his user manager.

    Attributes:
        home: the home folder.
        units: folder of the user's units.
    """

    def __init__(self, manager: UserManager, home: Path) -> None:
        self.manager = manager
        self.home = home
        self.units = manager.home / ".config" / "systemd" / "user"
        home.mkdir()
        (home / "mailbox.json").write_text('{"port": 8123}')
        self._environment = {
            "PYTHONPATH": str(Path(claude_mailbox.__file__).parents[1]),
            "CLAUDE_MAILBOX_HOME": str(home),
        }

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run our command line to its end."""
        command = [sys.executable, "-m", "claude_mailbox", *arguments]
        return self.manager.run(command, {**self._environment, **environment})

    def succeed(self, *arguments: str) -> dict:
        """Run our command line, which must succeed, and return its JSON document."""
        done = self.run(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def start_by_hand(self) -> int:
        """Start a daemon that systemd knows nothing of, and return its pid."""
        code = "from claude_mailbox.client.reach import startup; print(startup.ensure()[0]['pid'])"
        done = self.manager.run([sys.executable, "-c", code], self._environment)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def end_daemon(self) -> None:
        """Kill the daemon of the home folder, if there is one."""
        lock = self.home / "mailbox.lock"
        if lock.exists() and lock.read_text():
            self.kill(json.loads(lock.read_text())["pid"])

    def clean_up(self) -> None:
        """End everything and remove every file."""
        self.manager.systemctl("kill", "--signal=KILL", UNIT)
        self.manager.systemctl("stop", UNIT, "stranger.service")
        self.end_daemon()
        shutil.rmtree(self.manager.home)
        self.manager.home.mkdir()
        self.manager.systemctl("daemon-reload")
        self.manager.systemctl("reset-failed")

    def fail(self, *arguments: str, **environment: str) -> str:
        """Run our command line, which must fail with one sentence, and return that."""
        done = self.run(*arguments, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.manager.systemctl("show", f"--property={name}", "--value", UNIT)

    def kill(self, pid: int | str) -> None:
        """Kill a process of the box that may have ended already."""
        self.manager.run(["kill", "-KILL", str(pid)])

    def traces(self) -> list[str]:
        """Return what there is below the user's configuration folder."""
        return sorted(str(path) for path in (self.manager.home / ".config").rglob("*"))


def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as *condition* holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


@pytest.fixture
def box(user_manager: UserManager) -> Iterator[Box]:
    """A user who has nothing installed, with a port that is free."""
    box = Box(user_manager, user_manager.home / "mail")
    yield box
    box.clean_up()


@pytest.fixture(scope="class")
def installed(user_manager: UserManager) -> Iterator[Box]:
    """A user with autostart installed, for tests that leave it so."""
    box = Box(user_manager, user_manager.home / "mail")
    box.succeed("install-autostart")
    yield box
    box.clean_up()


class TestInstalled:
    def test_the_platform_runs_the_daemon(self, installed: Box) -> None:
        """The daemon that answers is the unit's."""
        status = installed.succeed("status")
        assert status["state"] == "Running"
        assert status["pid"] == int(installed.show("MainPID"))
        assert status["addresses"][0] == "http://127.0.0.1:8123"
        assert str(installed.units / UNIT) in status["autostart"]

    def test_it_runs_at_every_login(self, installed: Box) -> None:
        """The unit is enabled, by a link where the manager looks for it."""
        assert installed.manager.systemctl("is-enabled", UNIT) == "enabled"
        assert (installed.units / "default.target.wants" / UNIT).is_symlink()

    def test_again_changes_nothing(self, installed: Box) -> None:
        """A second install says so, and the daemon runs on."""
        before = installed.show("MainPID"), (installed.units / UNIT).stat().st_mtime_ns
        again = installed.succeed("install-autostart")
        assert again["state"] == "unchanged"
        assert again["logs"] == "journalctl --user -u claude-mailbox"
        after = str(again["pid"]), (installed.units / UNIT).stat().st_mtime_ns
        assert before == after

    def test_killed_it_comes_back(self, installed: Box) -> None:
        """After kill -9 systemd starts it again."""
        killed = installed.show("MainPID")
        installed.kill(killed)
        eventually(lambda: installed.show("MainPID") not in ("0", killed))
        assert installed.show("NRestarts") == "1"
        eventually(lambda: installed.succeed("status")["state"] == "Running")


class TestInstall:
    def test_other_flags_rewrite_and_restart(self, box: Box) -> None:
        """What changed is rewritten, and the daemon runs with it."""
        first = box.succeed("install-autostart")
        assert first["state"] == "installed"
        second = box.succeed("install-autostart", "--port", "8124")
        assert second["state"] == "updated"
        assert second["pid"] != first["pid"]
        assert second["addresses"][0] == "http://127.0.0.1:8124"

    def test_a_daemon_started_by_hand_is_handed_over(self, box: Box) -> None:
        """The one that runs ends, and the platform starts the next."""
        by_hand = box.start_by_hand()
        outcome = box.succeed("install-autostart")
        assert outcome["pid"] == int(box.show("MainPID")) != by_hand
        box.succeed("stop")
        assert box.show("ActiveState") == "inactive"
        assert box.succeed("status")["state"] == "Stopped"

    def test_refuses_when_a_stranger_holds_the_port(self, box: Box) -> None:
        """It says who, and writes nothing."""
        start = ["systemd-run", "--user", "--unit=stranger", "--property=Type=notify"]
        done = box.manager.run([*start, sys.executable, "-c", STRANGER])
        assert done.returncode == 0, done.stderr
        pid = box.manager.systemctl("show", "--property=MainPID", "--value", "stranger.service")
        sentence = box.fail("install-autostart")
        assert f"(pid {pid}), which is not claude-mailbox" in sentence
        assert "--port" in sentence
        assert box.traces() == []

    def test_a_daemon_that_fails_is_no_success(self, box: Box) -> None:
        """It says where to look, and an uninstall makes systemd forget the failure."""
        (box.home / "mailbox.db").write_text("somebody else's letters, which are no database")
        sentence = box.fail("install-autostart")
        assert "fails at its start" in sentence
        assert "journalctl --user -u claude-mailbox" in sentence
        box.succeed("uninstall-autostart")
        assert UNIT not in box.manager.systemctl("list-units", "--all", "--plain")
        assert box.traces() == []

    def test_without_a_user_manager_nothing_is_written(self, box: Box, tmp_path: Path) -> None:
        """One sentence says what to do instead."""
        sentence = box.fail("install-autostart", XDG_RUNTIME_DIR=str(tmp_path))
        assert "No systemd user manager answers" in sentence
        assert "claude-mailbox start" in sentence
        assert box.traces() == []

    def test_a_service_is_for_windows(self, box: Box) -> None:
        """The flag of another platform is refused, not ignored."""
        assert "Windows only" in box.fail("install-autostart", "--service")
        assert box.traces() == []


class TestUninstall:
    def test_leaves_no_trace(self, box: Box) -> None:
        """No unit, no link, no empty folder, no process; the mail stays until it is purged."""
        box.succeed("install-autostart")
        assert box.succeed("uninstall-autostart")["state"] == "removed"
        assert box.traces() == []
        assert box.show("LoadState") == "not-found"
        status = box.succeed("status")
        assert (status["state"], status["autostart"]) == ("NotInstalled", None)
        assert (box.home / "mailbox.db").exists()
        purged = box.succeed("uninstall-autostart", "--purge")
        assert (purged["state"], purged["left"]) == ("absent", [])
        assert str(box.home / "mailbox.db") in purged["deleted"]
        assert not box.home.exists()
