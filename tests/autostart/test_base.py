"""The autostart of each platform, and what is the same on all of them."""

from pathlib import Path

import pytest

from claude_mailbox import autostart
from claude_mailbox.autostart.launchd import Launchd
from claude_mailbox.autostart.systemd import Systemd
from claude_mailbox.errors import AutostartError
from support.daemon import DaemonProcess


@pytest.mark.usefixtures("home")
class TestManager:
    def test_depends_on_the_platform(self) -> None:
        """By the name that Python has for it."""
        assert isinstance(autostart.manager(platform="linux"), Systemd)
        assert isinstance(autostart.manager(platform="darwin"), Launchd)

    def test_on_an_unknown_platform_says_what_to_do_instead(self) -> None:
        """There is never an entry, and none can be written or started."""
        manager = autostart.manager(platform="freebsd15")
        assert not manager.is_installed()
        assert manager.uninstall().state == "absent"
        assert "no autostart" in manager.describe()
        for attempt in (manager.install, manager.start, manager.stop):
            with pytest.raises(AutostartError, match=r"no autostart for this system.*crontab"):
                attempt()

    def test_purge_lists_a_database_outside_the_home_folder(
        self, home: Path, tmp_path: Path
    ) -> None:
        """The user chose its place, so it is not deleted."""
        database = tmp_path / "elsewhere.db"
        database.touch()
        program = autostart.current({"dbPath": str(database)})
        outcome = autostart.manager(program, "freebsd15").uninstall(purge=True)
        assert outcome.left == [str(database)]
        assert database.exists()

    def test_purge_asks_the_running_daemon_for_its_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A flag is not in the configuration. The daemon is stopped first."""
        database = tmp_path / "elsewhere.db"
        with DaemonProcess(arguments=["--db-path", str(database)]) as daemon:
            monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(daemon.home))
            outcome = autostart.manager(platform="freebsd15").uninstall(purge=True)
            assert daemon.wait() == 0
            assert outcome.left == [str(database)]
            assert not daemon.home.exists()

    def test_purge_works_with_a_broken_configuration(self, home: Path) -> None:
        """The home folder is deleted all the same."""
        (home / "mail").mkdir()
        (home / "mail" / "mailbox.json").write_text("{")
        (home / "mail" / "mailbox.lock").touch()
        outcome = autostart.manager(platform="freebsd15").uninstall(purge=True)
        assert outcome.left == []
        assert not (home / "mail").exists()
