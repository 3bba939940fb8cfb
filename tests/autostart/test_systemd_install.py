"""Install and uninstall with a real systemd user manager."""

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
# A server on our port: it reports that it is ready, and sends a line that is not HTTP.
OTHER_SERVER = """
import os, socket
server = socket.create_server(("127.0.0.1", 8123))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
    ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    client, _ = server.accept()
    client.sendall(b"220 other ESMTP\\r\\n")
    client.close()
"""


class User:
    """A user with a systemd user manager and our command line.

    Attributes:
        home: the daemon's home folder.
        units: the folder of the user's units.
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
        """Run one of our commands to its end."""
        command = [sys.executable, "-m", "claude_mailbox", *arguments]
        return self.manager.run(command, {**self._environment, **environment})

    def succeed(self, *arguments: str) -> dict:
        """Run a command that must succeed, and return its JSON document."""
        done = self.run(*arguments, "--json")
        assert done.stderr == ""
        # `status` says by its exit code, too, when the daemon does not run.
        is_stopped = arguments == ("status",) and json.loads(done.stdout)["state"] != "Running"
        assert done.returncode == (2 if is_stopped else 0)
        return json.loads(done.stdout)

    def start_by_hand(self) -> int:
        """Start a daemon without systemd, and return its pid."""
        code = "from claude_mailbox.client.reach import startup; print(startup.ensure_running()[0]['pid'])"
        done = self.manager.run([sys.executable, "-c", code], self._environment)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def end_daemon(self) -> None:
        """Kill the daemon of the home folder, if there is one."""
        lock = self.home / "mailbox.lock"
        if lock.exists() and lock.read_text():
            self.kill(json.loads(lock.read_text())["pid"])

    def clean_up(self) -> None:
        """Kill all processes and remove all files."""
        self.manager.systemctl("kill", "--signal=KILL", UNIT)
        self.manager.systemctl("stop", UNIT, "other.service")
        self.end_daemon()
        shutil.rmtree(self.manager.home)
        self.manager.home.mkdir()
        self.manager.systemctl("daemon-reload")
        self.manager.systemctl("reset-failed")

    def fail(self, *arguments: str, **environment: str) -> str:
        """Run a command that must fail with one sentence, and return the sentence."""
        done = self.run(*arguments, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.manager.systemctl("show", f"--property={name}", "--value", UNIT)

    def kill(self, pid: int | str) -> None:
        """Kill a process, if it has not ended already."""
        self.manager.run(["kill", "-KILL", str(pid)])

    def traces(self) -> list[str]:
        """Return all files and folders in the user's configuration folder."""
        return sorted(str(path) for path in (self.manager.home / ".config").rglob("*"))


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until *condition* is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition stays false"
        time.sleep(0.02)


@pytest.fixture
def user(user_manager: UserManager) -> Iterator[User]:
    """A user without autostart, with a free port."""
    user = User(user_manager, user_manager.home / "mail")
    yield user
    user.clean_up()


@pytest.fixture(scope="class")
def installed(user_manager: UserManager) -> Iterator[User]:
    """A user with autostart, for tests that do not remove it."""
    user = User(user_manager, user_manager.home / "mail")
    user.succeed("install-autostart")
    yield user
    user.clean_up()


class TestInstalled:
    def test_systemd_runs_the_daemon(self, installed: User) -> None:
        """The daemon that answers is the main process of the unit."""
        status = installed.succeed("status")
        assert status["state"] == "Running"
        assert status["pid"] == int(installed.show("MainPID"))
        assert status["addresses"][0] == "http://127.0.0.1:8123"
        assert str(installed.units / UNIT) in status["autostart"]

    def test_the_unit_is_enabled(self, installed: User) -> None:
        """By a link in the folder of the target that starts at login."""
        assert installed.manager.systemctl("is-enabled", UNIT) == "enabled"
        assert (installed.units / "default.target.wants" / UNIT).is_symlink()

    def test_a_second_install_changes_nothing(self, installed: User) -> None:
        """The daemon keeps running."""
        before = installed.show("MainPID"), (installed.units / UNIT).stat().st_mtime_ns
        again = installed.succeed("install-autostart")
        assert again["state"] == "unchanged"
        assert again["logs"] == "journalctl --user -u claude-mailbox"
        after = str(again["pid"]), (installed.units / UNIT).stat().st_mtime_ns
        assert before == after

    def test_a_killed_daemon_is_started_again(self, installed: User) -> None:
        """By systemd, after kill -9."""
        killed = installed.show("MainPID")
        installed.kill(killed)
        eventually(lambda: installed.show("MainPID") not in ("0", killed))
        assert installed.show("NRestarts") == "1"
        eventually(lambda: installed.succeed("status")["state"] == "Running")


class TestInstall:
    def test_other_flags_restart_the_daemon(self, user: User) -> None:
        """The unit is rewritten, and the daemon has the new flags."""
        first = user.succeed("install-autostart")
        assert first["state"] == "installed"
        second = user.succeed("install-autostart", "--port", "8124")
        assert second["state"] == "updated"
        assert second["pid"] != first["pid"]
        assert second["addresses"][0] == "http://127.0.0.1:8124"

    def test_replaces_a_daemon_that_was_started_by_hand(self, user: User) -> None:
        """It ends, and systemd starts the next one."""
        by_hand = user.start_by_hand()
        outcome = user.succeed("install-autostart")
        assert outcome["pid"] == int(user.show("MainPID")) != by_hand
        user.succeed("stop")
        assert user.show("ActiveState") == "inactive"
        assert user.succeed("status")["state"] == "Stopped"

    def test_fails_if_another_program_has_the_port(self, user: User) -> None:
        """The sentence names the program, and nothing is written."""
        start = ["systemd-run", "--user", "--unit=other", "--property=Type=notify"]
        done = user.manager.run([*start, sys.executable, "-c", OTHER_SERVER])
        assert done.returncode == 0, done.stderr
        pid = user.manager.systemctl("show", "--property=MainPID", "--value", "other.service")
        sentence = user.fail("install-autostart")
        assert f"(pid {pid}), which is not claude-mailbox" in sentence
        assert "--port" in sentence
        assert user.traces() == []
        # The daemon serves its socket, and waits for the port.
        user.succeed("install-autostart", "--skip-port-check")
        assert user.succeed("status")["state"] == "Running"
        assert user.succeed("status")["missing"]

    def test_fails_if_the_daemon_fails(self, user: User) -> None:
        """The sentence says how to read the log. Uninstall also resets the failed state."""
        (user.home / "mailbox.db").write_text("not a database")
        sentence = user.fail("install-autostart")
        assert "fails when it starts" in sentence
        assert "journalctl --user -u claude-mailbox" in sentence
        user.succeed("uninstall-autostart")
        assert UNIT not in user.manager.systemctl("list-units", "--all", "--plain")
        assert user.traces() == []

    def test_without_a_user_manager_nothing_is_written(self, user: User, tmp_path: Path) -> None:
        """The sentence says what to do instead."""
        sentence = user.fail("install-autostart", XDG_RUNTIME_DIR=str(tmp_path))
        assert "No systemd user manager answers" in sentence
        assert "claude-mailbox start" in sentence
        assert user.traces() == []

    def test_service_is_refused(self, user: User) -> None:
        """The flag is for Windows."""
        assert "Windows only" in user.fail("install-autostart", "--service")
        assert user.traces() == []


class TestUninstall:
    def test_leaves_no_trace(self, user: User) -> None:
        """No unit, link, empty folder or process; the mail stays until --purge."""
        user.succeed("install-autostart")
        assert user.succeed("uninstall-autostart")["state"] == "removed"
        assert user.traces() == []
        assert user.show("LoadState") == "not-found"
        status = user.succeed("status")
        assert (status["state"], status["autostart"]) == ("NotInstalled", None)
        assert (user.home / "mailbox.db").exists()
        purged = user.succeed("uninstall-autostart", "--purge", "--yes")
        assert (purged["state"], purged["left"]) == ("absent", [])
        assert str(user.home / "mailbox.db") in purged["deleted"]
        assert not user.home.exists()
