"""Systems that have no autostart which we know."""

from typing import NoReturn

from claude_mailbox.autostart.base import Manager
from claude_mailbox.errors import AutostartError


class Unsupported(Manager):
    """Has no entry, and says so when one is asked for."""

    def require(self, service: bool) -> None:
        self._refuse()

    def write(self, service: bool) -> str:
        self._refuse()

    def remove(self) -> bool:
        return False

    def installed(self) -> bool:
        return False

    def describe(self) -> str:
        return "no autostart on this system"

    def start(self) -> None:
        self._refuse()

    def stop(self) -> None:
        self._refuse()

    def log_hint(self) -> str:
        return "claude-mailbox doctor"

    def _refuse(self) -> NoReturn:
        raise AutostartError(
            "There is no autostart for this system. Start the daemon with 'claude-mailbox start',"
            " or at every boot with '@reboot claude-mailbox start' in your crontab (crontab -e)."
        )
