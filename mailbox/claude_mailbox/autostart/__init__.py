"""Autostart: let the platform start the daemon at login and restart it when it fails."""

import sys

from claude_mailbox.autostart.base import Manager, Outcome
from claude_mailbox.autostart.program import Program, current
from claude_mailbox.autostart.resident import Resident
from claude_mailbox.autostart.runner import Runner

__all__ = ["Manager", "Outcome", "Program", "current", "manager"]


def manager(program: Program | None = None, platform: str = sys.platform) -> Manager:
    """Return the autostart of this platform.

    Args:
        program: what to start; this Python with no flags when it is left out.
        platform: value of ``sys.platform``.
    """
    program, runner = program or current(), Runner()
    resident = Resident(program.home)
    if platform.startswith("linux"):
        from claude_mailbox.autostart.systemd import Systemd

        return Systemd(program, runner, resident)
    if platform == "darwin":
        from claude_mailbox.autostart.launchd import Launchd

        return Launchd(program, runner, resident)
    if platform == "win32":
        from claude_mailbox.autostart.service import WindowsService, service_exists
        from claude_mailbox.autostart.windows import Windows

        if service_exists(runner):
            return WindowsService.of(program, runner)
        return Windows(program, runner, resident)
    from claude_mailbox.autostart.unsupported import Unsupported

    return Unsupported(program, runner, resident)
