"""Autostart: the platform starts the daemon at login, and again when it fails."""

import sys

from claude_mailbox.autostart.base import Manager, Outcome
from claude_mailbox.autostart.command_runner import CommandRunner
from claude_mailbox.autostart.home_daemon import HomeDaemon
from claude_mailbox.autostart.program import Program, current

__all__ = ["Manager", "Outcome", "Program", "current", "manager"]


def manager(program: Program | None = None, platform: str = sys.platform) -> Manager:
    """Return the autostart of this platform.

    Args:
        program: what to start; if None, this Python without flags.
        platform: value of ``sys.platform``.
    """
    program, runner = program or current(), CommandRunner()
    home_daemon = HomeDaemon(program.home)
    if platform.startswith("linux"):
        from claude_mailbox.autostart.systemd import Systemd

        return Systemd(program, runner, home_daemon)
    if platform == "darwin":
        from claude_mailbox.autostart.launchd import Launchd

        return Launchd(program, runner, home_daemon)
    if platform == "win32":
        from claude_mailbox.autostart.windows.logon import WindowsLogon
        from claude_mailbox.autostart.windows.service import WindowsService, service_exists

        if service_exists(runner):
            return WindowsService.of(program, runner)
        return WindowsLogon(program, runner, home_daemon)
    from claude_mailbox.autostart.unsupported import Unsupported

    return Unsupported(program, runner, home_daemon)
