"""What install-autostart and uninstall-autostart print."""

from claude_mailbox.autostart import Outcome
from claude_mailbox.autostart.home_daemon import RunningDaemon
from claude_mailbox.cli.commands.machine.autostart import as_fields, as_text

INSTALLED = Outcome(
    state="installed",
    entry="systemd user unit /home/ann/claude-mailbox.service",
    logs="journalctl --user -u claude-mailbox",
    daemon=RunningDaemon(7, ("http://127.0.0.1:37849", "unix:/home/ann/mailbox.sock")),
    notes=["The daemon ends when you log out."],
)
PURGED = Outcome(
    state="absent", entry="LaunchAgent x", deleted=["/m/mailbox.db"], left=["/m/n\x1b[2J"]
)


class TestOutput:
    def test_install_as_text(self) -> None:
        """One line for each fact."""
        assert as_text(INSTALLED).splitlines() == [
            "Installed: systemd user unit /home/ann/claude-mailbox.service",
            "Running: pid 7, http://127.0.0.1:37849 unix:/home/ann/mailbox.sock",
            "Log: journalctl --user -u claude-mailbox",
            "Note: The daemon ends when you log out.",
        ]

    def test_install_as_fields(self) -> None:
        """The same facts."""
        assert as_fields(INSTALLED) == {
            "state": "installed",
            "entry": "systemd user unit /home/ann/claude-mailbox.service",
            "pid": 7,
            "addresses": ["http://127.0.0.1:37849", "unix:/home/ann/mailbox.sock"],
            "logs": "journalctl --user -u claude-mailbox",
            "notes": ["The daemon ends when you log out."],
        }

    def test_uninstall_lists_deleted_and_left_files(self) -> None:
        """Control characters in a file's name become escapes."""
        assert as_text(PURGED).splitlines() == [
            "Not installed: LaunchAgent x",
            "Deleted: /m/mailbox.db",
            r"Left, not ours: /m/n\x1b[2J",
        ]
        assert as_fields(PURGED)["deleted"] == ["/m/mailbox.db"]
        assert as_fields(PURGED)["left"] == ["/m/n\x1b[2J"]
