"""What the two commands print, the small parts below them, and systems without autostart."""

import os
import sys
from pathlib import Path

import pytest

from claude_mailbox import autostart
from claude_mailbox.autostart import Outcome
from claude_mailbox.autostart.files import remove_file, write_file
from claude_mailbox.autostart.launchd import Launchd
from claude_mailbox.autostart.resident import Running
from claude_mailbox.autostart.runner import Done, Runner
from claude_mailbox.autostart.systemd import Systemd
from claude_mailbox.cli.autostart import as_text, fields
from claude_mailbox.errors import AutostartError
from support.daemon import DaemonProcess

INSTALLED = Outcome(
    state="installed",
    entry="systemd user unit /home/ann/claude-mailbox.service",
    logs="journalctl --user -u claude-mailbox",
    daemon=Running(7, ("http://127.0.0.1:37849", "unix:/home/ann/mailbox.sock")),
    notes=["It ends when you log out."],
)
PURGED = Outcome(
    state="absent", entry="LaunchAgent x", deleted=["/m/mailbox.db"], left=["/m/n\x1b[2J"]
)


class TestOutput:
    def test_install_for_people(self) -> None:
        """One line a fact."""
        assert as_text(INSTALLED).splitlines() == [
            "Installed: systemd user unit /home/ann/claude-mailbox.service",
            "Running: pid 7, http://127.0.0.1:37849 unix:/home/ann/mailbox.sock",
            "Log: journalctl --user -u claude-mailbox",
            "Note: It ends when you log out.",
        ]

    def test_install_for_programs(self) -> None:
        """The same as fields."""
        assert fields(INSTALLED) == {
            "state": "installed",
            "entry": "systemd user unit /home/ann/claude-mailbox.service",
            "pid": 7,
            "addresses": ["http://127.0.0.1:37849", "unix:/home/ann/mailbox.sock"],
            "logs": "journalctl --user -u claude-mailbox",
            "notes": ["It ends when you log out."],
        }

    def test_purge(self) -> None:
        """What was deleted and what was left, with a file's strange name made visible."""
        assert as_text(PURGED).splitlines() == [
            "Not installed: LaunchAgent x",
            "Deleted: /m/mailbox.db",
            r"Left, not ours: /m/n\x1b[2J",
        ]
        assert fields(PURGED)["deleted"] == ["/m/mailbox.db"]
        assert fields(PURGED)["left"] == ["/m/n\x1b[2J"]


@pytest.mark.usefixtures("home")
class TestPlatforms:
    def test_each_has_its_own(self) -> None:
        """Chosen by the name that Python has for the platform."""
        assert isinstance(autostart.manager(platform="linux"), Systemd)
        assert isinstance(autostart.manager(platform="darwin"), Launchd)

    def test_others_say_what_to_do(self) -> None:
        """The commands exist everywhere; where nothing can be done they say so."""
        manager = autostart.manager(platform="freebsd15")
        assert not manager.installed()
        assert manager.uninstall().state == "absent"
        assert "no autostart" in manager.describe()
        for attempt in (manager.install, manager.start, manager.stop):
            with pytest.raises(AutostartError, match=r"no autostart for this system.*crontab"):
                attempt()

    def test_a_purge_names_a_database_elsewhere(self, home: Path, tmp_path: Path) -> None:
        """The user chose its place; we do not delete outside of the home folder."""
        database = tmp_path / "elsewhere.db"
        database.touch()
        program = autostart.current({"dbPath": str(database)})
        outcome = autostart.manager(program, "freebsd15").uninstall(purge=True)
        assert outcome.left == [str(database)]
        assert database.exists()

    def test_a_purge_asks_the_daemon_where_its_database_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A flag of the daemon is not in the configuration. By hand or not, it ends first."""
        database = tmp_path / "elsewhere.db"
        with DaemonProcess(arguments=["--db-path", str(database)]) as daemon:
            monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(daemon.home))
            outcome = autostart.manager(platform="freebsd15").uninstall(purge=True)
            assert daemon.wait() == 0
            assert outcome.left == [str(database)]
            assert not daemon.home.exists()

    def test_a_broken_configuration_is_no_reason_to_stay(self, home: Path) -> None:
        """Stopping and uninstalling need no configuration."""
        (home / "mail").mkdir()
        (home / "mail" / "mailbox.json").write_text("{")
        (home / "mail" / "mailbox.lock").touch()
        outcome = autostart.manager(platform="freebsd15").uninstall(purge=True)
        assert outcome.left == []
        assert not (home / "mail").exists()


class TestRunner:
    def test_returns_status_output_and_complaint(self) -> None:
        """Whatever a program says is kept, letters that are none included."""
        code = "import os, sys; os.write(1, b'a\\xff'); sys.exit('no\\n way.')"
        done = Runner().run([sys.executable, "-c", code])
        assert (done.code, done.output) == (1, "a\ufffd")
        assert done.reason == "no way"

    def test_sets_variables(self) -> None:
        """On top of ours."""
        code = "import os; print(os.environ['XYZ'], 'PATH' in os.environ)"
        done = Runner().run([sys.executable, "-c", code], {"XYZ": "1"})
        assert done.output.split() == ["1", "True"]

    @pytest.mark.parametrize("program", ["/nonexistent/launchctl", "/"])
    def test_a_program_that_cannot_be_run(self, program: str) -> None:
        """The status is the shell's, and the sentence names the program."""
        done = Runner().run([program])
        assert done.code == 127
        assert program in done.reason
        with pytest.raises(AutostartError, match="Cannot start"):
            Runner().spawn([program])

    def test_must(self) -> None:
        """A failure becomes a sentence with the program's last words."""
        with pytest.raises(AutostartError, match=r"failed: exit status 3\.$"):
            Runner().must([sys.executable, "-c", "raise SystemExit(3)"])
        assert Runner().must([sys.executable, "-c", ""]) == Done(0)

    def test_spawn(self, tmp_path: Path) -> None:
        """What is started runs by itself, in a session of its own."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        code = f"import os; open({str(fifo)!r}, 'w').write(str(os.getpid() == os.getsid(0)))"
        Runner().spawn([sys.executable, "-c", code])
        assert fifo.read_text() == "True"

    def test_a_program_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is ended, and that is a failure."""
        monkeypatch.setattr("claude_mailbox.autostart.runner._COMMAND_SECONDS", 0.01)
        done = Runner().run(
            [sys.executable, "-c", "import sys; sys.stdin = open('/dev/zero').read()"]
        )
        assert (done.code, done.reason) == (-1, "no answer within 0.01 seconds")


class TestFiles:
    def test_what_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        """A file where a folder ought to be."""
        (tmp_path / "file").touch()
        with pytest.raises(AutostartError, match=r"Cannot write .*unit: File exists"):
            write_file(str(tmp_path / "file" / "unit"), b"")

    def test_what_cannot_be_removed_is_said(self, tmp_path: Path) -> None:
        """A folder where a file ought to be."""
        with pytest.raises(AutostartError, match="Cannot remove"):
            remove_file(str(tmp_path))
