"""Systems whose autostart we do not know."""

from typing import NoReturn

from claude_mailbox.autostart.base import Manager
from claude_mailbox.errors import AutostartError


class Unsupported(Manager):
    """There is no entry; to write or start one is an error."""

    def check_supported(self, service: bool) -> None:
        self._refuse()

    def write_entry(self, service: bool) -> str:
        self._refuse()

    def remove_entry(self) -> bool:
        return False

    def is_installed(self) -> bool:
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
